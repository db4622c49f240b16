namespace McpAuth.Cedar.Text;

/// <summary>The name that was probably meant.</summary>
internal static class NearMiss
{
    /// <summary>Longer names are not compared: the work is the product of the lengths.</summary>
    private const int Longest = 64;

    /// <summary>Of more names a schema may declare, the first ones are compared.</summary>
    private const int MostCompared = 5_000;

    /// <summary>The known name with the fewest typing mistakes between, of at most one in three characters; null when none is near.</summary>
    public static string? Of(string name, IEnumerable<string> known)
    {
        if (name.Length is 0 or > Longest) return null;
        string? best = null;
        int fewest = Math.Max(1, name.Length / 3) + 1;
        foreach (string candidate in known.Take(MostCompared))
        {
            if (candidate.Length > Longest || Math.Abs(candidate.Length - name.Length) >= fewest) continue;
            int distance = Distance(name, candidate);
            if (distance >= fewest) continue;
            (best, fewest) = (candidate, distance);
        }
        return best;
    }

    /// <summary>The help that names it, for a <see cref="Diagnostic"/>.</summary>
    public static string? Help(string name, IEnumerable<string> known) => Of(name, known) is { } meant ? $"did you mean '{meant}'?" : null;

    /// <summary>Insertions, deletions, replacements and swaps of neighbours, each one mistake.</summary>
    private static int Distance(string a, string b)
    {
        if (string.Equals(a, b, StringComparison.OrdinalIgnoreCase)) return a == b ? 0 : 1; // however many letters differ in case
        Span<int> twoAgo = stackalloc int[b.Length + 1], before = stackalloc int[b.Length + 1], row = stackalloc int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++) before[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                row[j] = Math.Min(replaced, Math.Min(before[j], row[j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = Math.Min(row[j], twoAgo[j - 2] + 1);
            }
            Span<int> free = twoAgo;
            twoAgo = before;
            before = row;
            row = free;
        }
        return before[b.Length];
    }
}
