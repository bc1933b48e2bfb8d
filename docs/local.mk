# docs/: nothing built yet
