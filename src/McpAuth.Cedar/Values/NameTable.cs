namespace McpAuth.Cedar.Values;

/// <summary>
/// The names of attributes that policies and schemas use, so that data read later hold the same objects and comparing them is comparing references.
/// A name that is not found is only slower to compare. Data do not add to it: whoever sends them could push out the names that matter.
/// </summary>
internal static class NameTable
{
    private const int Longest = 64;

    // Two names may want one place; the later one has it. A reference is written whole, so no lock is needed.
    private static readonly string?[] Places = new string?[4096];

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

    private static ref string? Place(ReadOnlySpan<char> name) => ref Places[string.GetHashCode(name, StringComparison.Ordinal) & (Places.Length - 1)];
}
