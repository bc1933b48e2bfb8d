# store/: nothing built yet
