package page

import (
	"fmt"
	"strings"

	"sallyport/internal/units"
	"sallyport/ui/kit"
)

// paragraphsOf splits a foreign text where it has empty lines.
func paragraphsOf(text string) (list []string) {
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			list = append(list, p)
		}
	}
	return list
}

func (v RecordView) textNote() string {
	if v.Cut {
		return "the first " + units.Size(maxShown) + " of " + units.Size(v.Record.Bytes)
	}
	return ""
}

func (v RecordView) proofLead() string {
	if v.Proof.Local {
		return "Every step holds. It was loaded here by " + v.Proof.LoadedBy + " and is signed by nobody else."
	}
	if state, _ := signerState(v.Proof.SignerState); state != kit.OK {
		return "Every step holds. The signature is whole, but its key would not count today: see below."
	}
	return "Every step holds, from these bytes to the signature of " + v.Proof.OriginName + "."
}

// steps are the way, one row each: what was checked, and the digest it rests on.
func (v RecordView) steps() kit.TableView {
	p := v.Proof
	t := kit.TableView{ID: "proof", Caption: "Steps of the proof", Columns: []kit.Column{{Label: "Step"}, {Label: "What was checked"}, {Label: "Digest"}}}
	step := func(tone kit.Tone, name, what string, d kit.Node) {
		word := "proven"
		if tone != kit.OK {
			word = "look at this"
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Join(kit.Mark(tone, word), kit.Strong(name)), kit.Text(what), d}})
	}
	step(kit.OK, "Record", units.Plural(p.Bytes, "byte has", "bytes have")+" exactly this digest.", kit.Digest(p.Digest))
	if p.Line != nil {
		step(kit.OK, "Line", fmt.Sprintf("It is line %s of a shard.", units.Count(*p.Line+1)), dash())
		step(kit.OK, "Shard", "The whole shard was read again and has this digest.", digestOr(p.Shard))
	}
	if p.Local {
		step(kit.OK, "Loaded here", "By "+p.LoadedBy+"; not signed by anyone else.", digestOr(p.LoadRecord))
		return t
	}
	step(kit.OK, "Manifest", fmt.Sprintf("Bundle %s names it as %s, in feed %s.", p.Bundle, p.Path, p.Feed.Name), digestOr(p.Manifest))
	tone, words := signerState(p.SignerState)
	step(tone, "Signature", "The manifest is signed by "+p.OriginName+". "+words, kit.Code(p.KeyID))
	return t
}

// signerState says what a key that signed in its time counts today.
func signerState(state string) (kit.Tone, string) {
	switch state {
	case "valid":
		return kit.OK, "Its key counts today."
	case "key-revoked":
		return kit.Warn, "Signer revoked: its key was revoked later. What came in before stays readable; nothing new signed by it is taken in."
	case "key-expired":
		return kit.Warn, "Signer expired: its key has ended since. What came in before stays readable."
	case "":
		return kit.Unknown, "Nobody knows what its key counts today."
	}
	return kit.Warn, "Its key would not count today (" + state + "). What came in before stays readable."
}

func (v RecordView) voucherTitle() string {
	if v.Proof.Local {
		return "Who brought it in"
	}
	return "Who vouches for it"
}

func (v RecordView) voucher() []kit.Def {
	p := v.Proof
	list := []kit.Def{
		{Term: "Feed", Value: kit.Join(kit.To(FeedHref(p.OriginName, p.Feed.Name), p.OriginName+"/"+p.Feed.Name), kit.Soft("generation "+generation(p.Epoch, p.Generation)))},
		{Term: "State root", Value: digestOr(p.StateRoot), Explain: explainRoot},
		{Term: "Accepted here", Value: since(p.AcceptedAt, v.Now, "unknown")},
	}
	if p.Local {
		list = append(list, kit.Def{Term: "Loaded by", Value: kit.Text(p.LoadedBy)})
		if len(p.Sources) > 0 {
			list = append(list, kit.Def{Term: "From", Value: paragraphs(p.Sources)})
		}
		return list
	}
	tone, _ := signerState(p.SignerState)
	word := map[kit.Tone]string{kit.OK: "valid today", kit.Unknown: "unknown"}[tone]
	switch {
	case p.SignerState == "key-revoked":
		word = "signer revoked"
	case word == "":
		word = "not valid today"
	}
	return append(list,
		kit.Def{Term: "Key in nine words", Value: kit.Words(p.Signer)},
		kit.Def{Term: "Key id", Value: kit.Code(p.KeyID)},
		kit.Def{Term: "The key is", Value: kit.Badge(tone, word)},
		kit.Def{Term: "Trust root", Value: kit.Join(digestOr(p.RootID), kit.Soft(fmt.Sprintf("version %d", p.RootVersion)))},
	)
}
