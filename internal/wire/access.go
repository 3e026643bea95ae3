package wire

// User is an account of the console, as others may see it. Nothing of it is secret.
type User struct {
	Name      string   `json:"name"`
	Roles     []string `json:"roles"`
	State     string   `json:"state"` // active, invited (nobody chose a password yet), disabled, ended
	Why       string   `json:"why,omitempty"`
	CreatedAt string   `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt,omitempty"`
	LastLogin string   `json:"lastLogin,omitempty"`
	UIDs      []uint32 `json:"uids,omitempty"`  // users of the operating system that are the same person
	Names     []string `json:"names,omitempty"` // what they are called there
	App       bool     `json:"app"`             // a code of an authenticator app is asked for
	CodesLeft int      `json:"codesLeft"`       // recovery codes
	Sessions  int      `json:"sessions"`
}

// Users is the answer of users/list.
type Users struct {
	Users []User `json:"users"`
	// What Overview says: when somebody opened a way in past all accounts, and when the recovery card was made.
	Recovered *Recovered `json:"recovered,omitempty"`
	CardAt    string     `json:"cardAt,omitempty"` // "": none was made
	CardSpent bool       `json:"cardSpent,omitempty"`
}

// Recovered says that somebody opened a way in past all accounts, how often and when last.
type Recovered struct {
	Count int    `json:"count"`
	At    string `json:"at"`
	By    string `json:"by"`
	How   string `json:"how"` // root, card
}

// UserRequest names an account and what is to become of it. Which fields count is the action's.
type UserRequest struct {
	Name   string  `json:"name,omitempty"`
	Roles  string  `json:"roles,omitempty"`  // "operator+approver"; "": as they are
	EndsAt *string `json:"endsAt,omitempty"` // a day like 2027-06-30, counted whole; "" takes the end away
	Enable bool    `json:"enable,omitempty"`
	Reset  bool    `json:"reset,omitempty"` // a new code to choose password and app with; sessions end
	Reason string  `json:"reason,omitempty"`
	User   string  `json:"user,omitempty"` // of the operating system: name or number
	Remove bool    `json:"remove,omitempty"`
}

// UserMade is an account and, when it is new or was reset, the code for the person whose it is.
type UserMade struct {
	User
	Code      string `json:"code,omitempty"`      // secret; shown once
	ExpiresAt string `json:"expiresAt,omitempty"` // trusted time
}

// RecoverRequest opens a way in; Card is the code of the recovery card, "" for root on the host.
type RecoverRequest struct {
	Card string `json:"card,omitempty"`
}

// RecoveryCard is the sheet that is printed and not kept.
type RecoveryCard struct {
	Appliance   string   `json:"appliance"`
	ApplianceID string   `json:"applianceId"`
	Fingerprint string   `json:"fingerprint"` // 64 hex
	Words       string   `json:"words"`
	Identity    string   `json:"identity"` // secret
	Recipient   string   `json:"recipient"`
	Code        string   `json:"code"` // secret
	MadeAt      string   `json:"madeAt"`
	Restore     []string `json:"restore"`
	Return      []string `json:"return"`
}

// APIToken is a token of a program, without its secret.
type APIToken struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Account   string   `json:"account,omitempty"` // it may what this account may, within its scopes
	Scopes    []string `json:"scopes"`
	State     string   `json:"state"` // active, ended, disabled (its account is over)
	CreatedAt string   `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt"`
	UsedAt    string   `json:"usedAt,omitempty"`
}

// APITokens is the answer of tokens/list. Scopes are those there are, with the actions that each allows.
type APITokens struct {
	Tokens []APIToken `json:"tokens"`
	Scopes []APIScope `json:"scopes"`
}

// APIScope is what a token may be allowed.
type APIScope struct {
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// TokenRequest names a token, or says what a new one is to be.
type TokenRequest struct {
	ID      string   `json:"id,omitempty"` // or its name
	Name    string   `json:"name,omitempty"`
	Account string   `json:"account,omitempty"` // "": the one that asks
	Scopes  []string `json:"scopes,omitempty"`
	Days    int      `json:"days,omitempty"` // 0: 90
}

// TokenMade is a new token with its secret, which is shown once and not kept.
type TokenMade struct {
	APIToken
	Secret string `json:"secret"`
}

// WebSession is somebody signed in to the console. Agent is what the browser says it is: foreign text.
type WebSession struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	At      string `json:"at"` // trusted time of the sign-in
	Remote  string `json:"remote"`
	Agent   string `json:"agent,omitempty"`
	Idle    int64  `json:"idleSeconds"`
	Left    int64  `json:"leftSeconds"` // until it ends in any case
	Yours   bool   `json:"yours,omitempty"`
}

// WebSessions is the answer of sessions/list.
type WebSessions struct {
	Sessions []WebSession `json:"sessions"`
}

// SessionRequest names a session, or all of an account.
type SessionRequest struct {
	ID      string `json:"id,omitempty"`
	Account string `json:"account,omitempty"`
}

// SessionsEnded is how many did.
type SessionsEnded struct {
	Ended int `json:"ended"`
}
