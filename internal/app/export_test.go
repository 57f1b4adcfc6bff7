package app

// Debugging is the address of profiles and the level of the log, "" where there is
// none.
func (a *App) Debugging() string {
	if a.debug == nil {
		return ""
	}
	return "http://" + a.debug.Addr().String()
}
