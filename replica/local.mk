# replica/: nothing built yet
