"""What is installed? Discovery, probes that find crashes at import, quarantine, the registry of parts."""

from steermoe_core.plugins.plugin import Plugin
from steermoe_core.plugins.registry import PartError, Registry, load_registry

__all__ = ["PartError", "Plugin", "Registry", "load_registry"]
