namespace McpAuth.Cedar.Text;

/// <summary>One object for each name in a text: a policy repeats its names, and equal references are compared at once.</summary>
internal sealed class StringPool
{
    private readonly HashSet<string> names = new(StringComparer.Ordinal);
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> lookup;

    public StringPool() => lookup = names.GetAlternateLookup<ReadOnlySpan<char>>();

    public string Get(ReadOnlySpan<char> name)
    {
        if (lookup.TryGetValue(name, out string? known)) return known;
        string added = name.ToString();
        names.Add(added);
        return added;
    }
}
