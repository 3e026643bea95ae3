package media

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The volumes that are no file system a kernel mounts, as Signature names them.
const (
	bitLocker = "BitLocker"
	luks      = "LUKS"
	wholeDisk = "partition table"
)

// signatureBytes is how much of a device Signature reads: the descriptors of an optical disc begin at 32 KiB.
const signatureBytes = 72 << 10

// magic is one row of the table of signatures: bytes at an offset.
type magic struct {
	name string
	at   int
	text string
}

// magics are looked at in order; what is encrypted comes before the file systems it disguises as. Sources: the formats' own
// specifications (MS-FVE metadata, LUKS1/2 on-disk format, exFAT, FAT, ECMA-119, ECMA-167, ext4 super block, APFS, HFS+).
var magics = []magic{
	{bitLocker, 3, "-FVE-FS-"},
	{bitLocker, 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"}, // BitLocker To Go, looks like FAT
	{luks, 0, "LUKS\xba\xbe"},
	{"exfat", 3, "EXFAT   "},
	{"ntfs", 3, "NTFS    "},
	{"vfat", 82, "FAT32   "},
	{"vfat", 54, "FAT12   "},
	{"vfat", 54, "FAT16   "},
	{"xfs", 0, "XFSB"},
	{"btrfs", 65600, "_BHRfS_M"},
	{"apfs", 32, "NXSB"},
	{"hfsplus", 1024, "H+\x00\x04"},
	{"hfsplus", 1024, "HX\x00\x05"},
	{"squashfs", 0, "hsqs"},
}

// Signature names the file system, or the encryption, of the bytes a device begins with: "vfat", "exfat", "iso9660", …,
// "BitLocker", "LUKS", "partition table"; "" when nothing is known. The bytes are attacker-controlled, at most 72 KiB are
// read, and nothing is concluded from them but a word for people.
func Signature(r io.ReaderAt) string {
	b := make([]byte, signatureBytes)
	n, _ := r.ReadAt(b, 0) // a shorter device has fewer signatures
	b = b[:n]
	for _, m := range magics {
		if has(b, m.at, m.text) {
			return m.name
		}
	}
	if ext(b) {
		return "ext4"
	}
	if disc := optical(b); disc != "" {
		return disc
	}
	if partitioned(b) {
		return wholeDisk
	}
	return ""
}

func has(b []byte, at int, text string) bool {
	return len(b) >= at+len(text) && string(b[at:at+len(text)]) == text
}

// ext tells an ext2, ext3 or ext4 super block; two bytes of magic alone would meet one file in 65,536.
func ext(b []byte) bool {
	if !has(b, 1080, "\x53\xef") {
		return false
	}
	le := binary.LittleEndian
	return le.Uint32(b[1024:]) > 0 && le.Uint32(b[1028:]) > 0 && le.Uint32(b[1048:]) <= 6 // inodes, blocks, log2 of a block over 1 KiB
}

// optical walks the volume recognition sequence, one descriptor each 2 KiB from 32 KiB on (ECMA-167 2/8): NSR means UDF,
// which wins on a disc that has both.
func optical(b []byte) string {
	found := ""
	for at := 32 << 10; at+6 <= len(b) && at < 64<<10; at += 2 << 10 {
		switch string(b[at+1 : at+6]) {
		case "NSR02", "NSR03":
			return "udf"
		case "CD001":
			found = "iso9660"
		case "BEA01", "TEA01", "BOOT2":
		default:
			return found
		}
	}
	return found
}

// partitioned tells a disk that begins with a partition table: GPT, or an MBR with at least one entry that has a length.
func partitioned(b []byte) bool {
	if has(b, 512, "EFI PART") {
		return true
	}
	if !has(b, 510, "\x55\xaa") {
		return false
	}
	for at := 446; at < 510; at += 16 {
		entry := b[at : at+16]
		if (entry[0] == 0 || entry[0] == 0x80) && entry[4] != 0 && binary.LittleEndian.Uint32(entry[12:]) > 0 && !bytes.Equal(entry, make([]byte, 16)) {
			return true
		}
	}
	return false
}
