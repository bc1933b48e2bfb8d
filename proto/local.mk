# proto/: nothing built yet
