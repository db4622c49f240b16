namespace McpAuth.Cedar.Values;

/// <summary>
/// The names that policies and schemas use, of attributes and of entities, so that data read later hold the same objects and comparing them is comparing
/// references. A name that is not found is only slower to compare. Data do not add to it: whoever sends them could push out the names that matter.
/// </summary>
internal static class NameTable
{
    private const int Longest = 64;

    // Two names may want one place; the later one has it. A reference is written whole, so no lock is needed.
    private static readonly string?[] Places = new string?[4096];
    private static readonly EntityUid?[] UidPlaces = new EntityUid?[4096];

    /// <summary>The object that stands for this name from now on.</summary>
    public static string Keep(string name)
    {
        if (name.Length > Longest) return name;
        ref string? place = ref Place(name);
        string? kept = place;
        if (kept == name) return kept;
        place = name;
        return name;
    }

    /// <summary>The kept object of this name; null when there is none.</summary>
    public static string? Find(ReadOnlySpan<char> name)
    {
        if (name.Length > Longest) return null;
        string? kept = Place(name);
        return kept is not null && name.SequenceEqual(kept) ? kept : null;
    }

    /// <summary>The object that stands for this entity's name from now on, with the one that stands for its type.</summary>
    public static EntityUid Keep(EntityUid uid)
    {
        string type = Keep(uid.Type);
        if (uid.Id.Length > Longest) return uid;
        ref EntityUid? place = ref Place(uid);
        EntityUid? kept = place;
        if (kept is not null && kept.Equals(uid) && ReferenceEquals(kept.Type, type)) return kept;
        return place = ReferenceEquals(uid.Type, type) ? uid : new(type, uid.Id);
    }

    /// <summary>The kept object of this entity's name; null when there is none.</summary>
    public static EntityUid? Find(EntityUid uid)
    {
        EntityUid? kept = Place(uid);
        return kept is not null && kept.Equals(uid) ? kept : null;
    }

    private static ref string? Place(ReadOnlySpan<char> name) => ref Places[string.GetHashCode(name, StringComparison.Ordinal) & (Places.Length - 1)];

    private static ref EntityUid? Place(EntityUid uid) => ref UidPlaces[uid.GetHashCode() & (UidPlaces.Length - 1)];
}
