// Package docs embeds the documentation, which is also the text that the language-model check trains on by default.
package docs

import "embed"

// Files are the pages, by file name.
//
//go:embed *.md
var Files embed.FS
