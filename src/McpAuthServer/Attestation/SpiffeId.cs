namespace McpAuthServer.Attestation;

/// <summary>The text of SPIFFE ids (SPIFFE-ID §2): <c>spiffe://trust.domain/path</c>, at most 2048 characters, no escapes, no empty or dot segments.</summary>
internal static class SpiffeId
{
    public const string Scheme = "spiffe://";

    private const int Longest = 2048, LongestDomain = 255;

    /// <summary><c>spiffe://trust.domain</c> of a workload's id; null when the text is none.</summary>
    public static string? TrustDomainOf(string id)
    {
        if (id.Length > Longest || !id.StartsWith(Scheme, StringComparison.Ordinal))
            return null;
        var slash = id.IndexOf('/', Scheme.Length);
        if (slash < 0 || !IsTrustDomain(id[..slash]))
            return null;
        foreach (var segment in id[(slash + 1)..].Split('/'))
            if (segment is "" or "." or ".." || !segment.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
                return null;
        return id[..slash];
    }

    /// <summary>Whether the text is the id of a trust domain itself.</summary>
    public static bool IsTrustDomain(string id) =>
        id.StartsWith(Scheme, StringComparison.Ordinal) && id.Length > Scheme.Length && id.Length <= Scheme.Length + LongestDomain
        && id[Scheme.Length..].All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '-' or '_');
}
