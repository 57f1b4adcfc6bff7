package store

// NoRoom is what is made of an error of writing.
func NoRoom(err error) error { return noRoom(err) }
