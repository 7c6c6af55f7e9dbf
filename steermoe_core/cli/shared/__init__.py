"""What do several commands share? Session, flags, tables, progress."""
