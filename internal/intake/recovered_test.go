package intake

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/forge"
)

// recover makes an admin at a site and opens a way in past it, as root does.
func (s *site) recover() {
	s.t.Helper()
	ctx := context.Background()
	desk := access.New(access.Deps{
		State: s.State, Timeline: s.Timeline, Now: s.Marks.Now, Clock: s.Clock, Random: s.Random, Cost: access.Cost{Memory: 64, Time: 1, Threads: 1},
	})
	root := access.By{Name: "root", Host: true}
	if empty, err := desk.Empty(ctx); err != nil || empty {
		s.must(err)
		one, err := desk.SetupCode(ctx, root)
		s.must(err)
		_, err = desk.SetUp(ctx, access.SetUp{Code: one.Code, Name: "anna", Password: "four words not together", NoTOTP: true})
		s.must(err)
	}
	_, err := desk.Recover(ctx, root, "")
	s.must(err)
}

// A way in past all accounts stands in every receipt from then on, and the hub tells its people once for each time.
func TestRecoveryStandsInReceipts(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	if rc := s.newestReceipt(); len(rc.Ext) != 0 {
		t.Errorf("a receipt speaks of a recovery that never was: %v", rc.Ext)
	}
	take := func(n int) []TrustChange {
		t.Helper()
		at := forge.Epoch().Add(time.Duration(n) * time.Hour)
		res, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: hub.forged(), To: []*forge.Appliance{s.forged()}, At: at, Feeds: []forge.Feed{{Name: "osv-go", Generation: int64(n), Epoch: 1, Lines: 40 + n}}}), Yes: true, Actor: "uid:1001"}, nil)
		if err != nil || !res.Applied {
			t.Fatalf("%v %+v", err, res)
		}
		rc := s.newestReceipt()
		if ext := string(rc.Ext[recoveredName]); !strings.Contains(ext, `"how":"root"`) || strings.Contains(ext, "anna") {
			t.Errorf("receipt %d says %q", rc.Counter, ext)
		}
		papers, err := s.Receipts(ctx, "hub", true)
		s.must(err)
		all := map[string][]byte{}
		for _, p := range papers {
			all["receipts/"+p.Name] = p.Envelope
		}
		if res, err = hub.Import(ctx, Request{Path: hub.stick(outbound(s.forged(), hub.forged(), at, all)), Actor: "uid:1004"}, nil); err != nil {
			t.Fatal(err)
		}
		return res.Trust
	}
	s.recover()
	list := take(2)
	if len(list) != 1 || list[0].What != "recovered" || !strings.HasPrefix(list[0].Sentence, "site says that a way in past all its accounts was opened by root on the host, on 20") {
		t.Errorf("%+v", list)
	}
	if list = take(3); len(list) != 0 {
		t.Errorf("told again: %+v", list)
	}
	s.recover()
	if list = take(4); len(list) != 1 {
		t.Errorf("the second time is not told: %+v", list)
	}
}
