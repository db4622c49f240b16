namespace McpAuth.Cedar.Schemas;

/// <summary>The name that was probably meant.</summary>
internal static class NearMiss
{
    private const int LongestName = 64;
    private const int MostCandidates = 10_000;

    /// <summary><c>Did you mean 'x'?</c>, or null when nothing is near: a third of the letters may differ, at most three.</summary>
    public static string? Help(string name, IEnumerable<string> candidates)
    {
        string? nearest = Of(name, candidates);
        return nearest is null ? null : $"Did you mean '{nearest}'?";
    }

    public static string? Of(string name, IEnumerable<string> candidates)
    {
        if (name.Length > LongestName) return null;
        string? nearest = null;
        int least = Math.Min(3, Math.Max(1, name.Length / 3)) + 1;
        foreach (string candidate in candidates.Take(MostCandidates))
        {
            if (Math.Abs(candidate.Length - name.Length) >= least || candidate == name) continue;
            int distance = string.Equals(candidate, name, StringComparison.OrdinalIgnoreCase) ? 0 : Distance(name, candidate);
            if (distance < least) (least, nearest) = (distance, candidate);
        }
        return nearest;
    }

    /// <summary>How many letters must be put in, left out, replaced or swapped with the next one.</summary>
    private static int Distance(string a, string b)
    {
        Span<int> twoBack = stackalloc int[LongestName + 5];
        Span<int> back = stackalloc int[LongestName + 5];
        Span<int> row = stackalloc int[LongestName + 5];
        for (int j = 0; j <= b.Length; j++) back[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                row[j] = Math.Min(Math.Min(row[j - 1], back[j]) + 1, back[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = Math.Min(row[j], twoBack[j - 2] + 1);
            }
            back.CopyTo(twoBack);
            row.CopyTo(back);
        }
        return back[b.Length];
    }
}
