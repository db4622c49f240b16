namespace McpAuthServer.Authorizations;

/// <summary>An answer on its way through the browser: its parameters in the order they are sent, and how they travel.</summary>
/// <param name="Uri">The validated redirect URI.</param>
internal sealed record AuthorizationAnswer(string Uri, ResponseMode Mode, IReadOnlyList<KeyValuePair<string, string>> Parameters)
{
    /// <summary>With the parameters in the query. Everything is escaped, so no value can end a header or add a parameter.</summary>
    public string Location =>
        $"{Uri}{(Uri.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{string.Join('&', Parameters.Select(p => $"{p.Key}={System.Uri.EscapeDataString(p.Value)}"))}";
}

/// <summary>OAuth 2.0 Multiple Response Type Encoding Practices §2.1, OAuth 2.0 Form Post Response Mode.</summary>
internal enum ResponseMode { Query, FormPost }
