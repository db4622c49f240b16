namespace McpAuthServer.Clients;

/// <summary>Which addresses a client may register for the answers to its authorization requests, and which it may then use. Pure.</summary>
internal static class RedirectUri
{
    public const int MaxLength = 2000;

    /// <summary>Schemes without a dot that well-known programs have claimed on people's machines.</summary>
    private static readonly HashSet<string> KnownSchemes = new(StringComparer.Ordinal) { "cursor", "vscode", "vscode-insiders", "windsurf", "claude" };

    /// <summary>Parameters of the answer: an address that has one itself could pass its own for the server's.</summary>
    private static readonly HashSet<string> AnswerParameters = new(StringComparer.Ordinal) { "code", "state", "iss", "error", "error_description", "error_uri" };

    /// <summary>Why the address may not be registered; null when it may (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1).</summary>
    public static string? Refuses(string uri, bool isPublic)
    {
        if (uri.Length is 0 or > MaxLength)
            return $"It must have 1 to {MaxLength} characters.";
        // Nothing that one reader of addresses takes for something else than the next; wildcards are no addresses.
        if (uri.Any(c => c is <= ' ' or >= '\x7f' or '\\' or '"' or '<' or '>' or '^' or '`' or '{' or '|' or '}' or '*'))
            return "It has a character that does not belong into an address as it is.";
        if (uri.Contains('#', StringComparison.Ordinal))
            return "It must not have a fragment.";
        // A path alone is an absolute file address on some systems.
        if (!uri.Contains(':', StringComparison.Ordinal) || !Uri.TryCreate(uri, UriKind.Absolute, out var parsed))
            return "It is no absolute address.";
        if (Parameters(uri).Any(AnswerParameters.Contains))
            return "Its query has a parameter of the answer.";

        var scheme = uri[..uri.IndexOf(':', StringComparison.Ordinal)];
        if (scheme is not ("https" or "http"))
            return scheme.Any(char.IsAsciiLetterUpper) ? "The scheme must be in lower case."
                : !scheme.Contains('.', StringComparison.Ordinal) && !KnownSchemes.Contains(scheme) ? "The scheme is neither https, nor http on this machine, nor one that a program owns, e.g. com.example.app."
                : isPublic ? null : "A scheme of its own is for clients without a secret: programs on people's machines.";
        if (!uri.AsSpan(scheme.Length).StartsWith("://") || parsed.Host.Length == 0 || HostPart(uri).Contains('@'))
            return "It must have a host, and no user information.";
        return scheme == "https" || IsLoopback(uri) ? null : "Plain http is for 127.0.0.1, [::1] and localhost.";
    }

    /// <summary>
    /// Character by character, and nothing is decoded or folded first (RFC 9700 §2.1); only the port of a loopback address is free
    /// (RFC 8252 §7.3), because the program takes whichever it gets.
    /// </summary>
    public static bool Matches(string registered, string given)
    {
        if (string.Equals(registered, given, StringComparison.Ordinal))
            return true;
        if (!IsLoopback(registered))
            return false;
        var host = WithoutPort(registered);
        return given.StartsWith(host.Before, StringComparison.Ordinal) && IsPortAnd(given.AsSpan(host.Before.Length), host.After);
    }

    /// <summary>http at a literal loopback address or <c>localhost</c>: any program on the person's machine may be listening there.</summary>
    public static bool IsLoopback(string uri)
    {
        if (!uri.StartsWith("http://", StringComparison.Ordinal))
            return false;
        var host = HostPart(uri);
        var colon = host is ['[', ..] ? host.IndexOf(']') + 1 : host.IndexOf(':');
        if (colon > 0 && colon < host.Length)
            host = host[..colon];
        return host is "localhost" or "127.0.0.1" or "[::1]";
    }

    /// <summary>Who receives the answer, for people: the host, or the scheme of a program.</summary>
    public static string Shown(string uri)
    {
        var scheme = uri[..uri.IndexOf(':', StringComparison.Ordinal)];
        return scheme is "https" or "http" ? HostPart(uri).ToString() : scheme;
    }

    private static ReadOnlySpan<char> HostPart(string uri)
    {
        var rest = uri.AsSpan(uri.IndexOf("//", StringComparison.Ordinal) + 2);
        var end = rest.IndexOfAny('/', '?', '#');
        return end < 0 ? rest : rest[..end];
    }

    private static (string Before, string After) WithoutPort(string uri)
    {
        var start = uri.IndexOf("//", StringComparison.Ordinal) + 2;
        var end = start + HostPart(uri).Length;
        var colon = uri.LastIndexOf(':', end - 1);
        return (colon > start && uri.IndexOf(']', start) < colon ? uri[..colon] : uri[..end], uri[end..]);
    }

    // An optional ":" and port, then exactly the rest.
    private static bool IsPortAnd(ReadOnlySpan<char> text, string rest)
    {
        if (text is [':', ..])
        {
            var end = 1;
            while (end < text.Length && char.IsAsciiDigit(text[end]))
                end++;
            if (end is < 2 or > 6 || int.Parse(text[1..end], System.Globalization.CultureInfo.InvariantCulture) is 0 or > 65535)
                return false;
            text = text[end..];
        }
        return text.SequenceEqual(rest);
    }

    private static IEnumerable<string> Parameters(string uri) =>
        uri.IndexOf('?', StringComparison.Ordinal) is >= 0 and var at
            ? uri[(at + 1)..].Split('&').Select(p => Uri.UnescapeDataString(p.Split('=')[0].Replace('+', ' ')))
            : [];
}
