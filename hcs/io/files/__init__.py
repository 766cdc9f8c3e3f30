"""Files themselves: paths, writes in one step, tables, disks and object stores."""
