# zab/: nothing built yet
