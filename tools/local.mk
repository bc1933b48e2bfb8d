# tools/: nothing built yet
