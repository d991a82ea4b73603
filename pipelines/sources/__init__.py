"""Sources of music, one file each: the file's name is its registry entry."""
