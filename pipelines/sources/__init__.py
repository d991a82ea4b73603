"""Sources of music, one file each: the name of the file is the value of --source."""
