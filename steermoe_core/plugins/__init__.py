"""What is installed? Discovery, examination in processes apart, quarantine, the registry of components."""

from steermoe_core.plugins.plugin import Plugin
from steermoe_core.plugins.registry import PartError, Registry, load_registry

__all__ = ["PartError", "Plugin", "Registry", "load_registry"]
