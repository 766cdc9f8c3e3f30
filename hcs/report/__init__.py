"""Pages and figures from the files of a study."""
