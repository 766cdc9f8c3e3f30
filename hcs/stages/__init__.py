"""One module a stage: a configuration in, files and a result out."""
