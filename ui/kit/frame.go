package kit

// FrameView is a whole page around its content.
type FrameView struct {
	Title   string      // of the page; the window's title is "Title · Site"
	Site    string      // name of the appliance
	Tenant  string      // its owner
	Strip   []StripItem // the status strip: always there, each item leads to its page
	Nav     []NavGroup  // the main navigation; a line is drawn between groups
	Person  string      // who is signed in; "" shows neither navigation nor menu
	Menu    []Link      // in the person's menu, before "Sign out"
	SignOut string      // where the sign-out form posts to; "" = none
	Events  string      // address of the page's event stream; "" = the page does not live
	Refresh int         // seconds between reloads for a browser without JavaScript; 0 = none
	Narrow  bool        // one narrow column: sign-in, set-up
	Print   bool        // the page is a sheet of paper: no frame on the screen either
	Notice  *NoticeView // on top of the content, after a redirect
}

// StripItem is one fact of the status strip.
type StripItem struct {
	Text, Href string
	Tone       Tone
	Icon       string // "sealed", "stick"; "" = the tone's own
	End        bool   // stands at the right end
}

// NavGroup is a run of navigation items.
type NavGroup []NavItem

// NavItem is one page in the navigation.
type NavItem struct {
	Label, Href string
	Count       int // what waits there; 0 shows nothing
	Current     bool
}

// HeadView is the top of a page's content.
type HeadView struct {
	Title   string
	Lead    string // one or two sentences: the state of things
	Explain string // the one sentence that explains the noun of this page
	Back    Link   // where one came from
	Actions []ButtonView
}

// CardView is a framed part of a page.
type CardView struct {
	ID    string
	Title string // "" = a card without a head
	Note  string // quiet words at the right of the head
	Count string
	Link  Link // at the right of the head
	Tone  Tone // a stripe at the left edge
	Live  bool // changes are announced politely
}

// NeedView is one line that asks for a hand: a reason, a consequence and one link to the fix.
type NeedView struct {
	Tone   Tone
	Mark   string // instead of the tone's icon, one or two characters
	Title  string
	Why    string
	Action ButtonView
}

// EmptyView stands where there is nothing to show, or nothing is known, or nothing may be seen.
type EmptyView struct {
	Tone   Tone
	Title  string
	Text   string
	Action ButtonView
}

// said is the notice on top. The script keeps it when a live page renews itself: what was said once does not vanish.
func (v FrameView) said() NoticeView {
	n := *v.Notice
	if n.ID == "" {
		n.ID = "said"
	}
	return n
}

// window is the title of the browser's window.
func (v FrameView) window() string {
	switch {
	case v.Site == "":
		return v.Title + " · Sallyport"
	case v.Title == "":
		return v.Site
	}
	return v.Title + " · " + v.Site
}

// ends splits the strip into its left and right items.
func ends(items []StripItem, right bool) (list []StripItem) {
	for _, i := range items {
		if i.End == right {
			list = append(list, i)
		}
	}
	return list
}

func (i StripItem) icon() string {
	if i.Icon != "" {
		return i.Icon
	}
	return i.Tone.icon()
}
