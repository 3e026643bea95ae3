package code

// The codes. The text form is stable.
const (
	Bug                Code = "unexpected"
	BadUsage           Code = "usage"
	BadConfig          Code = "config"
	Denied             Code = "denied"
	Missing            Code = "not-found"
	Ambiguous          Code = "ambiguous"
	Conflict           Code = "conflict"
	NotReady           Code = "not-ready"
	NoDaemon           Code = "no-daemon"
	Interrupted        Code = "interrupted"
	Cancelled          Code = "cancelled"
	Locked             Code = "locked"
	WrongInstance      Code = "wrong-instance"
	StateNewer         Code = "state-newer"
	StateCorrupt       Code = "state-corrupt"
	StoreCorrupt       Code = "store-corrupt"
	NoSpace            Code = "no-space"
	FileTooBig         Code = "file-system-limit"
	FsyncFailed        Code = "fsync-failed"
	SigningKey         Code = "signing"
	JSONSyntax         Code = "json-syntax"
	JSONDuplicate      Code = "json-duplicate-key"
	JSONCase           Code = "json-case-variant"
	JSONNumber         Code = "json-number"
	JSONUnicode        Code = "json-unicode"
	JSONDepth          Code = "json-depth"
	JSONTrailing       Code = "json-trailing"
	JSONUnknown        Code = "json-unknown-member"
	JSONType           Code = "json-type"
	NotCanonical       Code = "not-canonical"
	BadTime            Code = "bad-time"
	ReaderTooOld       Code = "reader-too-old"
	BadVersion         Code = "format-version"
	EnvelopeBad        Code = "envelope"
	PayloadType        Code = "payload-type"
	NoSignature        Code = "no-signature"
	SignatureBad       Code = "signature"
	SignerUnknown      Code = "signer-unknown"
	SignerNotChecked   Code = "signer-not-checked"
	SignatureCount     Code = "signature-count"
	Threshold          Code = "threshold"
	RawSigning         Code = "raw-signing"
	RawSignature       Code = "raw-signature"
	SigstoreBad        Code = "sigstore-bundle"
	KeyBad             Code = "key"
	KeyScope           Code = "key-scope"
	KeyRole            Code = "key-role"
	KeyExpired         Code = "key-expired"
	KeyRevoked         Code = "key-revoked"
	RootBad            Code = "root"
	RootGap            Code = "root-gap"
	RootThreshold      Code = "root-threshold"
	RootRollback       Code = "root-rollback"
	RootExpired        Code = "root-expired"
	RootMany           Code = "root-many"
	RootUnknown        Code = "root-unknown"
	RootFork           Code = "root-fork"
	CardKey            Code = "card-key"
	FingerprintWrong   Code = "fingerprint"
	SpokenWrong        Code = "spoken"
	TrustTwoPersons    Code = "two-persons"
	TarBad             Code = "tar"
	TarType            Code = "tar-type"
	TarName            Code = "tar-name"
	TarHeader          Code = "tar-header"
	TarDuplicate       Code = "tar-duplicate"
	TarOrder           Code = "tar-order"
	TarEnd             Code = "tar-end"
	ZstdBad            Code = "zstd"
	ZstdWindow         Code = "zstd-window"
	ZstdForm           Code = "zstd-form"
	ZstdBomb           Code = "zstd-bomb"
	ZstdTrailing       Code = "zstd-trailing"
	GzipBad            Code = "gzip"
	ZipBad             Code = "zip"
	EntryMissing       Code = "entry-missing"
	EntryExtra         Code = "entry-extra"
	EntrySize          Code = "entry-size"
	EntryDigest        Code = "entry-digest"
	ManifestBad        Code = "manifest"
	ManifestLimit      Code = "manifest-limit"
	IndexBad           Code = "index"
	LineBad            Code = "line"
	LineLimit          Code = "line-limit"
	StateRootBad       Code = "state-root"
	RerunHashBad       Code = "rerun-hash"
	OriginMismatch     Code = "origin-mismatch"
	WrongAudience      Code = "wrong-audience"
	WrongTenant        Code = "wrong-tenant"
	NotYetValid        Code = "not-yet-valid"
	Expired            Code = "expired"
	Rollback           Code = "rollback"
	Fork               Code = "fork"
	FastForward        Code = "fast-forward"
	EpochUnknown       Code = "epoch"
	CounterOld         Code = "counter"
	AnchorBad          Code = "anchor"
	DataStale          Code = "stale"
	LabelMissing       Code = "label-missing"
	LabelBad           Code = "label"
	LabelMismatch      Code = "label-mismatch"
	VolumeMissing      Code = "volume-missing"
	VolumeDamaged      Code = "volume-damaged"
	VolumeExtra        Code = "volume-extra"
	SheetBad           Code = "sheet"
	MediumRead         Code = "medium-read"
	MediumEmpty        Code = "medium-empty"
	MediumUnmounted    Code = "medium-not-mounted"
	MediumEncrypted    Code = "medium-encrypted"
	MediumFormat       Code = "medium-format"
	NothingForUs       Code = "nothing-for-us"
	MediumReadOnly     Code = "medium-read-only"
	MediumGone         Code = "medium-gone"
	MediumName         Code = "medium-name"
	ReadBack           Code = "read-back"
	MediumWrite        Code = "medium-write"
	NotForUs           Code = "not-for-us"
	SealDamaged        Code = "seal-damaged"
	SealForm           Code = "seal-form"
	SealLimit          Code = "seal-limit"
	IdentityMissing    Code = "identity-missing"
	EncryptionRequired Code = "ERR_EXPORT_ENCRYPTION_REQUIRED"
	ExportInvalid      Code = "ERR_EXPORT_INVALID_REQUEST"
	ExportProfile      Code = "ERR_EXPORT_PROFILE_NOT_FOUND"
	ExportRun          Code = "ERR_EXPORT_RUN_NOT_FOUND"
	ExportConflict     Code = "ERR_EXPORT_CONFLICT"
	ExportEmpty        Code = "ERR_EXPORT_EMPTY"
	ExportSigning      Code = "ERR_EXPORT_SIGNING"
	ExportDistribution Code = "ERR_EXPORT_DISTRIBUTION"
	ExportStorage      Code = "ERR_EXPORT_STORAGE_FULL"
	ExportBase         Code = "ERR_EXPORT_BASE_MISSING"
	ExportVerify       Code = "ERR_EXPORT_VERIFY"
	LoadType           Code = "load-type"
	LoadRejects        Code = "load-rejects"
	FeedForeign        Code = "feed-foreign"
	PlanChanged        Code = "plan-changed"
	PlanApproval       Code = "approval-needed"
	BaseMissing        Code = "base-missing"
	Parked             Code = "parked"
	WaitingFull        Code = "waiting-full"
	Quarantined        Code = "quarantined"
	TimelineBroken     Code = "timeline"
	BackupBad          Code = "backup"
	Unheard            Code = "unheard"
	DocumentBad        Code = "document"
	EvidenceLost       Code = "evidence-lost"
	SignInBad          Code = "sign-in"
	SignInDelayed      Code = "sign-in-delayed"
	SessionOver        Code = "session-over"
	StepUpNeeded       Code = "step-up-needed"
	TokenBad           Code = "token"
	SetupCodeBad       Code = "set-up-code"
	SetupDone          Code = "set-up-done"
	PasswordBad        Code = "password"
	NameBad            Code = "account-name"
	NameTaken          Code = "account-exists"
	TOTPBad            Code = "totp-code"
	LastAdmin          Code = "last-admin"

	// the web door
	Certificate Code = "certificate"
	WrongHost   Code = "wrong-host"
	CrossSite   Code = "cross-site"
	TooMany     Code = "too-many"
	TooLarge    Code = "too-large"
	TooSlow     Code = "too-slow"
	Crowded     Code = "crowded"

	// uploads
	UploadForm       Code = "upload-form"
	UploadChunk      Code = "upload-chunk"
	UploadIncomplete Code = "upload-incomplete"
	UploadDigest     Code = "upload-digest"
	UploadQuota      Code = "upload-quota"
)

var table = []Info{
	{Bug, Unexpected, 0, "something unexpected happened", "Look at the log of the daemon; if it happens again, make a support bundle."},
	{BadUsage, Usage, 0, "the command or request is not understood", "Read the command's --help."},
	{BadConfig, Usage, 0, "the configuration is not valid", "Correct the named key and run sallyport check-config."},
	{Denied, Auth, 0, "this person may not do that", "Ask someone with the right role."},
	{Missing, NotFound, 0, "there is no such thing here", "Check the name; the list commands show what there is."},
	{Ambiguous, Usage, 0, "the short name fits more than one", "Use one of the full names that are listed."},
	{Conflict, Usage, 409, "the state has changed since it was looked at", "Look again and repeat."},
	{NotReady, Retry, 0, "the daemon is not ready", "Wait, then run sallyport status."},
	{NoDaemon, Retry, 0, "no daemon answers on the socket", "Start it with sallyport serve, or name the right place with --data-dir."},
	{Interrupted, Interrupt, 0, "interrupted", "Run the same command again; nothing was left half done."},
	{Cancelled, Interrupt, 0, "cancelled on request", "Run it again when wanted."},
	{Locked, Retry, 0, "another daemon holds this data directory", "Stop the other daemon first."},
	{WrongInstance, Integrity, 0, "the parts of the data directory belong to different instances", "Check that the right disk is mounted."},
	{StateNewer, Usage, 409, "the state was written by a newer version", "Use the version that wrote it, or a newer one."},
	{StateCorrupt, Integrity, 0, "the state database is damaged", "Restore the newest backup."},
	{StoreCorrupt, Integrity, 0, "a stored blob does not have the bytes its name says", "Run sallyport store scrub --all, then sallyport media heal MEDIUM with the medium that carried it."},
	{NoSpace, Space, 0, "not enough free space", "Free space, then repeat; nothing was lost."},
	{FileTooBig, Space, 0, "the file system cannot hold a file of this size", "Choose a smaller volume size or another file system."},
	{FsyncFailed, Unexpected, 0, "the disk did not take the bytes", "Check the disk; the daemon stops so that nothing is half written."},
	{SigningKey, Retry, 0, "a signing key is locked, missing or unreadable", "Make the key readable, then retry the run."},
	{JSONSyntax, Integrity, 0, "not valid JSON", "Get the document again from its source."},
	{JSONDuplicate, Integrity, 0, "a member name occurs twice", "Get the document again from its source."},
	{JSONCase, Integrity, 0, "two member names differ only in case", "Get the document again from its source."},
	{JSONNumber, Integrity, 0, "a number would change its value", "Keep the document as an artifact instead."},
	{JSONUnicode, Integrity, 0, "text that is not well-formed Unicode", "Get the document again from its source."},
	{JSONDepth, Integrity, 0, "nested too deeply", "Get the document again from its source."},
	{JSONTrailing, Integrity, 0, "bytes after the end of the document", "Get the document again from its source."},
	{JSONUnknown, Integrity, 0, "a member this version does not know", "Check who wrote it; what a later writer adds goes under ext."},
	{JSONType, Integrity, 0, "a member has the wrong type, is null or is missing", "Check who wrote it."},
	{NotCanonical, Integrity, 0, "signed bytes are not in canonical form", "Do not import; keep the medium and call the sender."},
	{BadTime, Integrity, 0, "a time is not RFC 3339 in UTC with Z", "Check who wrote it."},
	{ReaderTooOld, Usage, 409, "written for a newer reader", "Upgrade this appliance to the version named, then repeat."},
	{BadVersion, Usage, 409, "a format version this reader does not know", "Upgrade this appliance, then repeat."},
	{EnvelopeBad, Integrity, 0, "the signed envelope is malformed", "Do not import; keep the medium and call the sender."},
	{PayloadType, Trust, 0, "a signed document of another type than this place allows", "Do not import; keep the medium and call the sender."},
	{NoSignature, Trust, 0, "nothing signed it", "Do not import; keep the medium and call the sender."},
	{SignatureBad, Trust, 0, "a signature by a known key does not verify", "Do not import; keep the medium and call the sender."},
	{SignerUnknown, Trust, 0, "signed by a key this appliance does not know", "If the sender changed its key, bring its trust update: sallyport trust plan MEDIUM shows it, two people apply it; if not, keep the medium and call."},
	{SignerNotChecked, Trust, 0, "the signer was not checked", "Compare the words with your paper, then run again with --key-words."},
	{SignatureCount, Trust, 0, "too many signatures", "Do not import; keep the medium and call the sender."},
	{Threshold, Trust, 0, "too few distinct keys signed it", "Do not import; keep the medium and call the sender."},
	{RawSigning, Trust, 0, "these bytes may not be signed raw", "Sign a digest of them instead."},
	{RawSignature, Trust, 0, "the raw signature does not belong to the manifest", "Do not import; keep the medium and call the sender."},
	{SigstoreBad, Trust, 0, "the Sigstore bundle does not belong to the manifest", "Do not import; keep the medium and call the sender."},
	{KeyBad, Trust, 0, "not a key this product accepts", "Use ECDSA P-256 or Ed25519 keys."},
	{KeyScope, Trust, 0, "the key may not speak for this tenant or origin", "Do not import; keep the medium and call the sender."},
	{KeyRole, Trust, 0, "the key does not have this role", "Do not import; keep the medium and call the sender."},
	{KeyExpired, Stale, 0, "the key's validity has ended or not begun", "Import the sender's newer trust root first."},
	{KeyRevoked, Trust, 0, "the key was revoked", "Do not import; keep the medium and call the sender."},
	{RootBad, Trust, 0, "not a valid trust root document", "Ask the sender for its trust root again."},
	{RootGap, Trust, 0, "a trust root version is missing in between", "Bring the missing versions on one medium."},
	{RootThreshold, Trust, 0, "the new trust root lacks signatures of the old or the new keys", "Do not apply; keep the medium and call the sender."},
	{RootRollback, Monotonic, 0, "an older trust root than the one accepted", "Nothing to do; the newer one stays."},
	{RootExpired, Stale, 0, "the trust root has expired", "Bring its successor on a medium."},
	{RootMany, Trust, 0, "too many trust root versions in a row", "Bring at most 64 versions at a time."},
	{RootUnknown, Trust, 0, "no trust root of this appliance is known here", "Add the peer first: sallyport peers add MEDIUM."},
	{RootFork, Monotonic, 0, "two different trust roots with the same version", "Apply neither. Keep the medium and call the sender on a number you already had: somebody else may have its root key."},
	{CardKey, Trust, 0, "the card is not signed by a key this appliance had before", "Apply nothing. Keep the medium and call the sender on a number you already had."},
	{FingerprintWrong, Trust, 0, "the fingerprint or the words do not match", "Stop. Keep the medium and call the sender on a number you already had."},
	{SpokenWrong, Trust, 0, "the words are those of no bundle that was sent to this peer", "Hear all six words again, one by one. If they stay, the site opened something else: ask for its receipt."},
	{TrustTwoPersons, Auth, 0, "a change of trust needs a second person", "Ask a second person to approve."},
	{TarBad, Integrity, 0, "the archive is malformed", "Do not import; ask for a new copy."},
	{TarType, Integrity, 0, "an archive member that is not a plain file", "Do not import; keep the medium and call the sender."},
	{TarName, Integrity, 0, "an archive member with a name that is not allowed", "Do not import; keep the medium and call the sender."},
	{TarHeader, Integrity, 0, "an archive header that our writer does not write", "Do not import; keep the medium and call the sender."},
	{TarDuplicate, Integrity, 0, "the same member twice", "Do not import; keep the medium and call the sender."},
	{TarOrder, Integrity, 0, "members are not in the order that was signed", "Do not import; keep the medium and call the sender."},
	{TarEnd, Integrity, 0, "the archive does not end where it should", "Do not import; ask for a new copy."},
	{ZstdBad, Integrity, 0, "the compressed stream is damaged", "Do not import; ask for a new copy."},
	{ZstdWindow, Integrity, 0, "the compressed stream asks for too much memory", "Do not import; keep the medium and call the sender."},
	{ZstdForm, Integrity, 0, "a kind of compressed frame that is not allowed", "Do not import; keep the medium and call the sender."},
	{ZstdBomb, Integrity, 0, "the compressed stream inflates to more than was signed", "Do not import; keep the medium and call the sender."},
	{ZstdTrailing, Integrity, 0, "bytes after the end of the compressed stream", "Do not import; keep the medium and call the sender."},
	{GzipBad, Integrity, 0, "the gzip stream is damaged", "Get the file again from its source."},
	{ZipBad, Integrity, 0, "the zip archive is damaged or not allowed", "Get the file again from its source."},
	{EntryMissing, Integrity, 0, "a signed entry is missing", "Do not import; ask for a new copy."},
	{EntryExtra, Integrity, 0, "an entry that was not signed", "Do not import; keep the medium and call the sender."},
	{EntrySize, Integrity, 0, "an entry has another size than was signed", "Do not import; ask for a new copy."},
	{EntryDigest, Integrity, 0, "an entry has other bytes than were signed", "Do not import; ask for a new copy."},
	{ManifestBad, Integrity, 0, "the manifest contradicts itself", "Do not import; keep the medium and call the sender."},
	{ManifestLimit, Integrity, 0, "the manifest is over a limit", "Do not import; ask for several smaller bundles."},
	{IndexBad, Integrity, 0, "the index disagrees with the data", "Do not import; keep the medium and call the sender."},
	{LineBad, Integrity, 0, "a record line is not as it must be", "Do not import; keep the medium and call the sender."},
	{LineLimit, Integrity, 0, "a record line is over the limit", "Do not import; keep the medium and call the sender."},
	{StateRootBad, Integrity, 0, "the records do not give the signed state root", "Do not import; keep the medium and call the sender."},
	{RerunHashBad, Integrity, 0, "the contents do not give the signed rerun hash", "Do not import; keep the medium and call the sender."},
	{OriginMismatch, Trust, 0, "a manifest that speaks for another appliance than its signer", "Do not import; keep the medium and call the sender."},
	{WrongAudience, Trust, 0, "this bundle is for another appliance", "Keep the stick for its courier."},
	{WrongTenant, Trust, 0, "this bundle belongs to a tenant that is not bound here", "Check the tenant binding of the peer."},
	{NotYetValid, Stale, 0, "made later than any time this appliance can believe", "Check the clock; bring a newer time anchor."},
	{Expired, Stale, 0, "the bundle's validity has ended", "Ask the sender for a new one."},
	{Rollback, Monotonic, 0, "older than what was already accepted here", "Nothing to do; the newer data stays."},
	{Fork, Monotonic, 0, "the same generation with other contents", "Stop and call the sender: two different histories exist. Both are kept as evidence."},
	{FastForward, Monotonic, 0, "a generation so far ahead that two people must look at it", "Ask two people to approve."},
	{EpochUnknown, Monotonic, 0, "a higher epoch that its trust root does not name", "Bring the sender's newer trust root."},
	{CounterOld, Monotonic, 0, "an older card, receipt or inventory than the one accepted", "Nothing to do; the newer one stays."},
	{DataStale, Stale, 0, "the data here is over its budget, and nothing older may be activated", "Bring a newer bundle first: it comes in whatever its age."},
	{AnchorBad, Stale, 0, "the time anchor is not valid", "Do not import; keep the medium and call the sender."},
	{LabelMissing, Retry, 0, "copying to this medium was not finished: no label", "Take it back to where it was written; it is resumed there, not imported here."},
	{LabelBad, Integrity, 0, "the label contradicts itself or its file", "Do not import; keep the medium and call the sender."},
	{LabelMismatch, Trust, 0, "label and manifest do not say the same", "Do not import; keep the medium and call the sender."},
	{VolumeMissing, Retry, 0, "a volume is missing", "Bring the medium that has it; what is here can stay."},
	{VolumeDamaged, Integrity, 0, "a volume has other bytes than were signed", "Ask for that volume again."},
	{VolumeExtra, Integrity, 0, "a volume the label does not name", "Do not import; keep the medium and call the sender."},
	{SheetBad, Integrity, 0, "a sheet beside the volumes has other bytes than were signed", "Do not import; keep the medium and call the sender."},
	{MediumRead, Retry, 0, "the medium cannot be read at one place", "Try another port or reader; ask for that volume again."},
	{MediumEmpty, NotFound, 0, "no folder sallyport on this medium", "Check that this is the right stick. Nothing on it was opened."},
	{MediumUnmounted, NotFound, 0, "no medium is mounted there", "Mount it, then name the folder where it is mounted."},
	{MediumEncrypted, Retry, 409, "the medium is encrypted and locked", "Unlock it on another machine and copy the folder sallyport."},
	{MediumFormat, Retry, 409, "the medium has a file system that cannot be read here", "Copy the folder sallyport to a stick that can be read."},
	{NothingForUs, NotFound, 0, "nothing on this medium is for this appliance", "Keep the stick for its courier."},
	{MediumReadOnly, Retry, 409, "the medium is read-only", "Switch its write protection off or use another one."},
	{MediumGone, Retry, 0, "the medium was removed while it was used", "Put it back in and repeat; finished volumes are not written again."},
	{MediumName, Integrity, 0, "a name on the medium that is not allowed", "Keep the medium and call the sender."},
	{ReadBack, Retry, 0, "the medium gave back other bytes than were written", "Use another medium; this one is failing."},
	{MediumWrite, Retry, 0, "the medium did not take the bytes", "Repeat; if it happens again, use another medium."},
	{NotForUs, Decrypt, 0, "not encrypted for this key", "Check the addressee on the cover sheet."},
	{SealDamaged, Decrypt, 0, "encrypted for this key, but damaged", "Ask for a new copy."},
	{SealForm, Decrypt, 0, "an encryption form that is not allowed", "Keep the medium and call the sender."},
	{SealLimit, Decrypt, 0, "the encryption header is over a limit", "Keep the medium and call the sender."},
	{IdentityMissing, Decrypt, 0, "the bundle is encrypted and no identity was given", "Give the identity that opens it."},
	{EncryptionRequired, Usage, 422, "encryption was asked for and no recipient can be used", "Add the peer with its card, or say --unencrypted."},
	{ExportInvalid, Usage, 400, "the export request is not valid", "Correct the named field."},
	{ExportProfile, NotFound, 404, "there is no such export profile", "Name one that there is: mirror:full or mirror:delta."},
	{ExportRun, NotFound, 404, "there is no such run", "List them with stella export run list."},
	{ExportConflict, Usage, 409, "the run cannot do that in its state", "Look at the run first."},
	{ExportEmpty, Usage, 422, "there is nothing to export", "Load something first, or say --allow-empty."},
	{ExportSigning, Retry, 503, "the bundle could not be signed", "Make the signing key readable, then retry."},
	{ExportDistribution, Retry, 502, "the bundle stands verified on the shelf but could not be delivered", "Correct the target, then retry the run."},
	{ExportStorage, Space, 507, "not enough space to build the bundle", "Free space, then retry."},
	{ExportBase, Base, 409, "the base of a delta is not known", "Send a full."},
	{ExportVerify, Integrity, 500, "the finished bundle did not pass the gate", "Do not use it; look at the log and run a scrub."},
	{LoadType, Usage, 0, "the type of this file is not recognised", "Say what it is with --kind."},
	{LoadRejects, Integrity, 0, "some documents were rejected", "Look at the reject list; the others went in unless --strict."},
	{FeedForeign, Usage, 409, "this feed belongs to another appliance", "Load into a feed of another name."},
	{PlanChanged, Usage, 409, "the plan is not the one that was approved", "Look at the new plan and approve that."},
	{PlanApproval, Auth, 409, "this plan needs an approval", "Approve it by its digest."},
	{BaseMissing, Base, 0, "none of the states this delta can be applied to is held here", "Bring the bundle that makes one of them, or ask for a full."},
	{Parked, Base, 0, "kept, waiting for its base", "Ask for the base or for a full."},
	{WaitingFull, Base, 507, "too much waits here already", "See what waits with sallyport media list, and bring what it needs or drop one with sallyport media forget."},
	{Quarantined, Quarantine, 0, "refused and kept in quarantine", "Write the quarantine number on the medium."},
	{TimelineBroken, Integrity, 0, "the timeline does not prove", "Keep everything as it is and call an auditor."},
	{BackupBad, Integrity, 0, "the backup is not whole", "Use another backup; keep this one as it is."},
	{Unheard, Retry, 409, "this appliance was restored and has not heard from a peer since", "Import a stick that this peer wrote, so that its card or receipt is read first."},
	{EvidenceLost, NotFound, 0, "the files of a quarantine entry are not here", "The entry tells what was refused and why. To end it: sallyport quarantine remove, with a reason."},
	{Certificate, Usage, 409, "the certificate of the console cannot be used", "Correct tls.cert and tls.key, then run sallyport check-config."},
	{WrongHost, Auth, 421, "this name is not one of this machine's", "Use the address that sallyport status shows, or add the name to listen.hosts."},
	{CrossSite, Auth, 403, "another web site asked for this", "Open the console in a window of its own and do it there."},
	{TooMany, Retry, 429, "too many requests", "Wait a moment, then go on."},
	{TooLarge, Usage, 413, "the request is larger than it may be", "Send less at once; files go in by upload or from a path of the appliance."},
	{TooSlow, Retry, 408, "the request came too slowly", "Check the connection, then repeat."},
	{Crowded, Retry, 503, "too many pages follow along at once", "Close pages that are not needed, or load this one again later."},
	{UploadForm, Usage, 0, "the upload contradicts itself: a number, a length or a size that cannot be", "Begin the upload again; if a program sent it, correct what it says of its chunks."},
	{UploadChunk, Usage, 409, "this chunk is here already, with other bytes", "The file has changed since the upload began: remove the upload and begin again."},
	{UploadIncomplete, Retry, 409, "chunks of this upload are missing", "Send those that are named; what is here is kept."},
	{UploadDigest, Integrity, 0, "the whole file has another digest than was said", "Remove the upload and send the file again."},
	{UploadQuota, Space, 0, "uploads may not take more room here", "Remove uploads that are not needed, or raise limits.uploads."},
	{SignInBad, Auth, 401, "name, password and code do not fit together", "Type all three again. Codes from a phone fit only when its clock and this machine's agree: a recovery code always does. Nobody can get in: on the host, as root, sallyport users recover."},
	{SignInDelayed, Retry, 429, "too many failed attempts in a row", "Wait as long as it says, then try again. Nothing is locked."},
	{SessionOver, Auth, 401, "nobody is signed in, or the session has ended", "Sign in again."},
	{StepUpNeeded, Auth, 403, "this needs your password or a code once more", "Prove that it is you, then repeat."},
	{TokenBad, Auth, 401, "the API token is not known, has ended or was revoked", "Ask an admin for a new one: sallyport tokens create."},
	{SetupCodeBad, Auth, 403, "this one-time code is not right, or its time is over", "Type it again as it was printed. For a new one, on the host: sallyport setup-code, or sallyport users recover where an admin exists."},
	{SetupDone, Usage, 409, "this appliance has an admin already, so there is no set-up code", "Sign in. If no admin can: on the host, as root, sallyport users recover."},
	{PasswordBad, Usage, 422, "this password cannot be used", "Choose one of at least 12 characters: several words are easiest."},
	{NameBad, Usage, 422, "an account cannot have this name", "Use a name like anna or j.smith."},
	{NameTaken, Usage, 409, "there is an account with this name already", "Choose another name; sallyport users list shows them."},
	{TOTPBad, Usage, 422, "the code does not fit the secret that was shown", "Type the code that the phone shows now."},
	{LastAdmin, Usage, 409, "nobody would be left who may administer this appliance", "Give another account the role admin first, without an end date."},
	{DocumentBad, Integrity, 0, "a signed document contradicts itself", "Do not use it; keep the medium and call the sender."},
}
