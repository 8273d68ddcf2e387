// Package record holds what the software catalog keeps in the database, in the
// words that the catalog and the store share.
package record

// Location is a place that entities are read from.
type Location struct {
	ID     string `db:"id"`
	Type   string `db:"type"` // "url", "file" or "embedded"
	Target string `db:"target"`
	// Registered says that it was added over the API, not by the config.
	Registered bool `db:"registered"`
}

// Entity is an entity as its source wrote it, without what the catalog works
// out (uid, etag and relations are no part of Document).
type Entity struct {
	Ref        string `db:"ref"` // kind:namespace/name, lower-case; unique
	Kind       string `db:"kind"`
	Namespace  string `db:"namespace"`
	Name       string `db:"name"`
	UID        string `db:"uid"`  // kept from the first save on
	Etag       string `db:"etag"` // changes with Document
	LocationID string `db:"location_id"`
	Source     string `db:"source"` // "type:target" of the file it stands in
	Parent     string `db:"parent"` // ref of the Location entity that led to it, "" at the root
	Document   string `db:"document"`
}

// Catalog is everything, as of one version.
type Catalog struct {
	Version   int64
	Locations []Location
	Entities  []Entity
}

// Mode says what saving a location does about the location itself.
type Mode int

// What can be done about the location.
const (
	Create Mode = iota // a new one; Saved.Exists when there is one of that type and target
	Ensure             // made where it is missing
	Update             // only if it is still there; Saved.Gone otherwise
)

// Saved says what came of saving a location.
type Saved struct {
	Location Location // as stored: the ID is the old one where it existed
	Exists   bool     // Create found it there, nothing was saved
	Gone     bool     // Update found it missing, nothing was saved
	Changed  bool     // an entity or the location itself was added, changed or removed
	// Conflicts are the refs that another location has already; theirs stand.
	Conflicts []string
}
