package manual

// Readers are the people the manual is written for.
const (
	Operator = "operator"
	Courier  = "courier"
	Analyst  = "analyst"
	Hub      = "hub engineer"
	Auditor  = "auditor"
)

// Reader is one of them, with what they are helped to do, and what to read first.
type Reader struct {
	Name  string
	Does  string
	start []string
}

// Readers lists whom the manual is for.
func Readers() []Reader {
	return []Reader{
		{Operator, "plugs in a stick, imports, approves, watches", []string{"first-day", "exchange", "import", "refused", "bad-day"}},
		{Courier, "carries sticks, often without a key", []string{"carrying", "mirror", "refused"}},
		{Analyst, "looks up advisories, SBOMs and VEX", []string{"records", "feeds", "glossary"}},
		{Hub, "builds bundles for many sites", []string{"load", "exports", "trust", "keys", "backup"}},
		{Auditor, "proves afterwards what happened", []string{"timeline", "receipts", "two-people", "mirror"}},
	}
}

type chapter struct {
	slug    string
	group   string
	readers []string
}

// chapters is the manual in the order of reading.
func chapters() []chapter {
	const start, visit, trust, data, proof, care, look = "Start here", "A stick arrives", "Trust and people", "Data", "Proof", "Keeping it well", "To look up"
	return []chapter{
		{"first-day", start, []string{Operator, Hub}},
		{"console", start, []string{Operator, Analyst, Auditor}},
		{"bad-day", start, []string{Operator, Hub, Courier}},
		{"exchange", visit, []string{Operator, Hub, Courier}},
		{"import", visit, []string{Operator}},
		{"refused", visit, []string{Operator, Courier}},
		{"volumes", visit, []string{Operator, Courier, Hub}},
		{"carrying", visit, []string{Courier}},
		{"mirror", visit, []string{Courier, Auditor}},
		{"trust", trust, []string{Operator, Hub}},
		{"two-people", trust, []string{Operator, Hub, Auditor}},
		{"users", trust, []string{Operator, Auditor}},
		{"keys", trust, []string{Hub, Auditor}},
		{"clock", trust, []string{Operator, Hub}},
		{"records", data, []string{Analyst}},
		{"feeds", data, []string{Operator, Analyst, Hub}},
		{"load", data, []string{Hub, Operator}},
		{"exports", data, []string{Hub}},
		{"receipts", proof, []string{Operator, Hub, Auditor}},
		{"timeline", proof, []string{Auditor}},
		{"disk", care, []string{Operator, Hub}},
		{"scrub", care, []string{Operator, Hub}},
		{"backup", care, []string{Operator, Hub}},
		{"monitoring", care, []string{Operator, Hub}},
		{"settings", look, []string{Operator, Hub}},
		{"cli", look, []string{Operator, Hub, Auditor}},
		{"api", look, []string{Hub, Auditor}},
		{"glossary", look, []string{Operator, Courier, Analyst, Hub, Auditor}},
	}
}
