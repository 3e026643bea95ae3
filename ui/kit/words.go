package kit

import (
	"regexp"
	"strings"
)

// command is a line of the command line inside a sentence: program, noun, a verb that the noun has, arguments in capitals or
// flags, and paths.
var command = regexp.MustCompile(`sallyport ([a-z]+)( (?:list|plan|show|apply|add|remove|release|prune|rhythm|rollback|unpin|pin|heal|scrub|revoke|rotate|renew|confirm|set|card|approve|deny|forget|create|verify|run|hold)\b)?((?: --[a-z-]+(?: (?:[A-Z]+\b|…|[0-9]+[a-z]?\b))?| [A-Z]{3,}\b| /\S+))*`)

// places are the pages on which the console does what a noun of the command line does.
func places() map[string]string {
	return map[string]string{
		"trust": "Trust", "keys": "Trust", "peers": "Peers", "media": "Media", "import": "Import", "exchange": "Exchange", "quarantine": "Quarantine",
		"feeds": "Feeds", "records": "Records", "store": "Store", "approvals": "Approvals", "time": "Time", "receipts": "Receipts", "timeline": "Timeline",
		"backup": "Backups", "tokens": "Tokens", "load": "Feeds",
	}
}

// ByPage says in a sentence the page where it names a command: whoever reads it here has pages. What only the host can do stays
// as it is.
func ByPage(s string) string {
	if !strings.Contains(s, "sallyport ") {
		return s
	}
	return command.ReplaceAllStringFunc(s, func(line string) string {
		m := command.FindStringSubmatch(line)
		page, ok := places()[m[1]]
		if !ok {
			return line
		}
		return page
	})
}
