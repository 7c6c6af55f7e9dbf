"""How is a run trained? Its processes, frames, validation and watches."""
