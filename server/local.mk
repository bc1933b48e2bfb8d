# server/: nothing built yet
