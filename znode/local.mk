# znode/: nothing built yet
