package web

import "net/http"

// WriteJSON answers with a value, as an action of the API does.
func WriteJSON(w http.ResponseWriter, v any) { writeJSON(w, http.StatusOK, jsonType, v) }
