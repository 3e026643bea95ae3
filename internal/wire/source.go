package wire

import "embed"

// Source is the source of this package. The description of the API takes what it says of each type and member from the comments
// here, so that there is one text of both.
//
//go:embed *.go
var Source embed.FS
