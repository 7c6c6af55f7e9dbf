"""`steermoe completion SHELL`: a script that lets a shell complete commands, flags, components and keys.

For bash write eval "$(steermoe completion bash)" into ~/.bashrc; for zsh the same with zsh into ~/.zshrc,
below compinit; for fish write the output to ~/.config/fish/completions/steermoe.fish.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session

#: Bash splits words at `=` and `:`. Therefore the program gets the whole line, and its answer is cut to the
#: part after the last such character.
BASH = r"""
_steermoe() {
    local current="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}" answer word IFS=$'\n'
    case "$current" in =|:) current= ;; esac
    local typed="${line##*[[:space:]]}"
    local before="${typed%"$current"}"
    COMPREPLY=()
    while read -r answer; do
        case "$answer" in
            @folders) COMPREPLY+=($(compgen -d -- "$current")) ;;
            @files) COMPREPLY+=($(compgen -f -- "$current")) ;;
            @files\ *)
                COMPREPLY+=($(compgen -d -- "$current"))
                COMPREPLY+=($(compgen -f -X "!*${answer#@files }" -- "$current")) ;;
            *)
                word="${answer%%$'\t'*}"
                case "$word" in *[=.]) compopt -o nospace 2>/dev/null ;; esac
                COMPREPLY+=("${word#"$before"}") ;;
        esac
        case "$answer" in @*) compopt -o filenames 2>/dev/null ;; esac
    done < <("${1/#\~/$HOME}" completion --line "$line" 2>/dev/null)
}
complete -F _steermoe steermoe
"""

ZSH = r"""
#compdef steermoe
_steermoe() {
    local -a ended open notes_ended notes_open
    local answer word note result=1
    while IFS= read -r answer; do
        case "$answer" in
            (@*)
                [[ $PREFIX == *=* ]] && compset -P '*='
                case "$answer" in
                    (@folders) _files -/ && result=0 ;;
                    (@files) _files && result=0 ;;
                    (*) _files -g "*${answer#@files }" && result=0 ;;
                esac ;;
            (*)
                word="${answer%%$'\t'*}" note="${answer/$'\t'/ -- }"
                if [[ $word == *[=.] ]]; then open+=("$word") notes_open+=("$note")
                else ended+=("$word") notes_ended+=("$note"); fi ;;
        esac
    done < <(${~words[1]} completion --words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#open )) && compadd -S '' -l -d notes_open -a open && result=0
    (( $#ended )) && compadd -l -d notes_ended -a ended && result=0
    return result
}
if [[ $funcstack[1] == _steermoe ]]; then _steermoe "$@"; else compdef _steermoe steermoe; fi
"""

FISH = r"""
function __steermoe_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    set -l before (string replace -r '[^=]*$' '' -- $current)
    set -l value (string replace -r '^.*=' '' -- $current)
    for answer in ($program completion --words $words "$current" 2>/dev/null)
        switch $answer
            case @folders
                for name in $value*/
                    echo $before$name
                end
            case '@files*'
                set -l ending (string replace -r '^@files ?' '' -- $answer)
                for name in $value*/ $value*$ending
                    echo $before$name
                end
            case '*'
                echo $answer
        end
    end
end
complete -c steermoe -f -a '(__steermoe_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("shell", choices=SCRIPTS, metavar="SHELL", help=", ".join(SCRIPTS))


def run(args: Namespace, session: Session) -> int:  # noqa: ARG001 - every command is given one
    """Print the script."""
    sys.stdout.write(SCRIPTS[args.shell].lstrip("\n"))
    return 0
