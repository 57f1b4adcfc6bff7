package ecssim

import "net/http"

func (s *Simulator) control(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
