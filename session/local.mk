# session/: nothing built yet
