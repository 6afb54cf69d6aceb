// Package phone is the model of a phone as it stands: who it says it is, what is installed and who
// signed it, who may do what, what starts at boot, what it trusts.
//
// Build reads the text files, manifests and signatures of an [evidence.Evidence] once, in parallel,
// and returns one immutable Phone; every list in it is sorted, so the same evidence gives the same
// Phone whatever the number of cores. Facts that the phone's own files leave open (framework-res.apk
// is missing from most dumps) come from AOSP's tables in package knowledge, and say so.
//
// Properties come first, because their API level rules how all else is read; then init's files, which
// name the class paths, and the permission files; then every APK and JAR, each on its own; and last
// what needs them all: who declares what, what the guards are worth, who signed the platform, what is
// granted. What something on the phone leads to and is not there is a gap in Coverage that names it.
//
// # Not read
//
// Dalvik code is found here and read by package program. Native code is not read, of images that hold no files only what
// Verified Boot and the boot images' headers say, and of what the running phone kept under /data nothing: packages.xml, runtime
// grants, settings. So Granted is what the platform would give a fresh phone. Who holds a role (dialer, installer) is not known. Without framework-res.apk and other resource packages, references that lead into them keep
// their defaults. ro.hardware is the boot loader's: an import of init that names it leads to every file that fits.
package phone

import (
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/oat"
	"gifthorse/knowledge"
)

// A Phone is what is known of one phone. It is not changed after Build.
type Phone struct {
	Evidence *evidence.Evidence
	Device   Device
	API      int // API level of the platform; 0 if unknown
	// PlatformSigner is whose apps are the platform's own.
	PlatformSigner PlatformSigner

	Properties []Property // resolved, by name
	Packages   []*Package // by name, then path
	Modules    []*Module  // by path
	Libraries  []*Library // shared Java libraries and JARs of the class paths, by path
	Services   []Service  // init services, by name
	Actions    []Action   // init actions in file order
	Launches   []Launch   // what init sets going, by services, then actions, each with what its scripts set going
	Trust      []Certificate
	ADBKeys    []ADBKey
	Hosts      []Host
	// VerifiedBoot is what the bootloader and the system check the phone's software against.
	VerifiedBoot VerifiedBoot
	// Attestations are what the secure hardware of a phone, which may be this one, says of it; by address.
	Attestations []*Attestation
	Start        Start
	RootFiles    []RootFile   // by path
	Policy       *Policy      // nil if it is not there or was not read
	DeviceNodes  []DeviceNode // those rules that hold, in the order of ueventd's files and init's commands

	Coverage []evidence.Coverage // one for each kind of evidence, in the order of the kinds

	byName      map[string][]*Package
	permissions map[string]*Permission // as packages of this phone declare them; see Permission
	protected   map[string]*Package    // actions that packages of this phone protect
	framework   bool                   // framework-res.apk, whose package is "android", is here
	unread      string                 // why a permission may be declared though none of the packages read declares it; "" if it may not
}

// A PlatformSigner is the certificate that the platform's own packages are signed with.
type PlatformSigner struct {
	SHA256  string // lower-case hex; "" if it cannot be told
	Subject string
	Why     string // "framework-res.apk", "12 of 12 packages that share the uid android.uid.system"
}

// A Device is who the phone says it is, from its properties.
type Device struct {
	Brand, Manufacturer, Model, Name, Fingerprint string
	Android, Patch, BuildType, BuildTags          string
	BuildDate, Board, ABI                         string
}

// A Property is a system property as the boot process would set it.
type Property struct {
	Name, Value string
	At          evidence.Ref // file and line of the value that counts
	Overridden  []evidence.Ref
}

// A Package is one app as it lies on the phone. Its splits are part of it. An app that lies there twice, as an
// update on /data does, is two packages; see [Phone.Package].
type Package struct {
	Name        string
	VersionName string
	VersionCode int64
	File        *evidence.File // the APK; nil if only its code was found: then Name is that of its folder
	Manifest    evidence.Ref
	Label       string // what the owner sees, in the default language; "" if it could not be resolved

	SharedUID  string // sharedUserId of the manifest, "" if its own uid
	Process    string
	System     bool // on a read-only partition, where the package manager looks for apps
	Dormant    bool // on the phone, but where the package manager does not look: no app until something installs it
	Privileged bool // in a priv-app folder (before API 19: any app on /system), or signed by the platform key
	Platform   bool // signed with the key of the platform (framework-res, or the majority of android.uid.system)
	MinSDK     int
	TargetSDK  int
	Persistent bool
	Debuggable bool
	TestOnly   bool
	HasCode    bool   // as the manifest says
	AppClass   string // descriptor of the Application class, "" if none
	Overlay    string // package it overlays, "" if none
	// OnlyUpdate is the SHA-512 of the one update that the phone takes for an app of its image (restrict-update,
	// PackageManagerService since API 25); "" if any of the same signer will do.
	OnlyUpdate string
	Core       bool // coreApp

	Signature Signature
	Requested []string // permissions asked for, sorted
	// Granted is what this phone would give of Requested, and why, with what packages of the same uid are given.
	Granted map[string]Grant
	Defines []*Permission

	Components []*Component
	Uses       []string // shared libraries, required and optional
	Cleartext  Cleartext
	Metadata   map[string]string

	Code []CodeFile // DEX files in load order; with none, CodeGap says why
	// CodeGap is nil if the code is there or the manifest says that there is none.
	CodeGap *evidence.Gap
	ABIs    []string
}

// UID returns the name of the uid that p's code runs as: "android.uid.system", or the package's own name.
func (p *Package) UID() string {
	if p.SharedUID != "" {
		return p.SharedUID
	}
	return p.Name
}

// Powerful reports whether p's code can do what an ordinary app cannot even ask for: it runs under a uid that the
// system shares, lies where the system keeps its privileged apps, or is signed as the platform.
func (p *Package) Powerful() bool {
	return p.Privileged || p.Platform || strings.HasPrefix(p.SharedUID, "android.")
}

// A CodeFile is one DEX, wherever it lay.
type CodeFile struct {
	Ref    evidence.Ref // of the DEX, through its containers
	Data   []byte       // the whole DEX; shares memory with the evidence
	Shared []byte       // shared data section of a compact DEX, else nil
	// Quick gives the original indexes of quickened instructions; nil if there is no table.
	Quick *oat.QuickTable
	// Optimised says that the code was rewritten in place for one boot class path (it lay in an OAT file).
	Optimised bool
	// Carried says that it lies among the app's assets, for code of the app's to load.
	Carried bool
	Off     int64 // offset of the DEX in the OAT or VDEX file that holds it; 0 in an APK or JAR
}

// A Signature says who signed an app and whether that still holds.
type Signature struct {
	Verdict string   // "verified", "broken", "none", or "stripped": broken only by code moved out of the APK
	Schemes []string // "v1", "v2", "v3", "v3.1"
	Signers []Signer
	Problem string
	// Certificates are those of Signers, as they lie in the APK.
	Certificates []string
}

// A Signer is a certificate.
type Signer struct {
	SHA256  string // of the certificate, lower-case hex
	Subject string
}

// A Grant says why a permission is given.
type Grant string

// The reasons for which a permission is given, and that for which it is not.
const (
	GrantNormal     Grant = "normal"
	GrantSigner     Grant = "signer"
	GrantPrivileged Grant = "privileged"
	GrantAsked      Grant = "asked of the owner"
	GrantPreset     Grant = "preset" // by default-permissions or by the platform's role for a system app
	GrantUnknown    Grant = "unknown"
	GrantNo         Grant = "not granted"
)

// Has reports whether p holds the permission without the owner being asked. The uid of the system is never
// refused any (ActivityManager.checkComponentPermission).
func (p *Package) Has(permission string) bool {
	if p.SharedUID == systemUID && p.Platform {
		return true
	}
	switch p.Granted[permission] {
	case GrantNormal, GrantSigner, GrantPrivileged, GrantPreset:
		return true
	}
	return false
}

// A Permission is one that something declares.
type Permission struct {
	Name  string
	Level knowledge.Level
	// By is the package that declares it on this phone; nil if AOSP's table stands in.
	By *Package
	At evidence.Ref
}

// Kind is a kind of component.
type Kind string

// The kinds of component.
const (
	KindActivity Kind = "activity"
	KindService  Kind = "service"
	KindReceiver Kind = "receiver"
	KindProvider Kind = "provider"
)

// A Component is one way into an app that its manifest declares.
type Component struct {
	Package *Package
	Kind    Kind
	Name    string // descriptor of the class: "Lcom/a/B;"
	Alias   string // of an activity-alias, its own name in the same form; Name is then the target's class
	Enabled bool
	// Exported is the effective export: as declared, or by default of the target SDK and the filters.
	Exported bool
	Declared bool // whether the manifest says it itself
	At       evidence.Ref

	// Guard is what the manifest puts before the whole component. A provider has Read and Write instead; Guard
	// is set too where they are the same permission.
	Guard       Guard
	Read, Write Guard
	Paths       []PathPermission
	GrantURI    bool
	Authorities []string
	Filters     []Filter
	Process     string
}

// Class returns the name by which an intent reaches c: "com.a.B". It is the alias's if c is one.
func (c *Component) Class() string {
	name := c.Name
	if c.Alias != "" {
		name = c.Alias
	}
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(name, "L"), ";"), "/", ".")
}

// A PathPermission guards a part of a provider.
type PathPermission struct {
	Path, Prefix, Pattern string
	Read, Write           Guard
}

// A Filter is an intent filter.
type Filter struct {
	Actions, Categories, Schemes, Hosts []string
	Priority                            int
}

// A Guard is a permission that a caller must hold, and what that is worth on this phone.
type Guard struct {
	Permission string // "" if none
	Holds      Worth
	Level      knowledge.Level
	// Why says in words where the level comes from: "declared by com.oem.x", "AOSP's table for API 23",
	// "declared neither on this phone nor by AOSP, and framework-res.apk is missing".
	Why string
	// Platform is set if AOSP's table stands in for this phone's own declaration.
	Platform bool
}

// Worth is what a guard is worth against an app without privilege.
type Worth uint8

// What a guard can be worth.
const (
	None        Worth = iota // there is no guard
	DoesNotHold              // a permission that any app gets by asking, or that nothing defines
	Consent                  // a dangerous permission: the owner was asked, or could read it
	Unknown                  // it cannot be told what the permission is worth
	Holds                    // only the phone's own or same-signed apps can have it
)

func (w Worth) String() string {
	return [...]string{"none", "does not hold", "holds by the owner's consent", "unknown", "holds"}[w]
}

// A Library is a JAR of shared code.
type Library struct {
	Name   string         // of the shared library, or of the file without its ending
	Path   string         // on the phone
	Boot   bool           // on the boot class path: every process has its code
	Server bool           // on the class path of the system server, which runs as uid system
	File   *evidence.File // nil if only its compiled code, or nothing, was found
	Code   []CodeFile
	Gap    *evidence.Gap // why there is no code; nil if there is
}

// A Service is one that init starts.
type Service struct {
	Name              string
	Args              []string
	User              string // "root" if the file names none
	Groups            []string
	Caps              []string // kept, without "CAP_"
	AllCaps           bool     // the file names none, so a service of root keeps all
	Label             string   // seclabel
	Classes           []string
	Sockets           []Socket
	Start             []string // what starts it: "class main", "property:…", "on boot", "interface …"; sorted; none if nothing read does
	At                evidence.Ref
	Disabled, Oneshot bool
	// Binary is the file it starts; nil if it is not in the evidence.
	Binary *evidence.File
}

// A Socket is one that init opens for a service.
type Socket struct {
	Name, Type, User, Group, Context string
	Perm                             uint32
}

// An Action is a list of commands that init runs on a trigger.
type Action struct {
	Triggers []string
	Commands []Command
	At       evidence.Ref
}

// A Command is one line of an action.
type Command struct {
	Name string
	Args []string
	At   evidence.Ref
}

// A Certificate is an authority that the phone trusts.
type Certificate struct {
	SHA256, Subject, Issuer string
	Known                   bool // AOSP ships it in some release
	KnownAs                 string
	Added                   bool // lies on /data: not shipped, somebody added it
	At                      evidence.Ref
	Problem                 string
}

// An ADBKey is a computer that may debug the phone without being asked.
type ADBKey struct {
	Comment, Fingerprint string
	At                   evidence.Ref
}

// A Host is a fixed name in the hosts file.
type Host struct {
	IP, Name string
	At       evidence.Ref
}

// Cleartext says what an app's manifest and network security configuration allow.
type Cleartext struct {
	Permitted  bool   // for any host
	Why        string // "usesCleartextTraffic", "default of target SDK 23", "network security configuration"
	Domains    []string
	UserCAs    bool // trusts certificate authorities that were added by the user
	UserCAsWhy string
	At         evidence.Ref
	Pins       bool
}
