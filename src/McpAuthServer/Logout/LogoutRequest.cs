using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Clients;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Logout;

/// <summary>A program's wish that a person sign out, after it was checked (RP-Initiated Logout §2).</summary>
/// <param name="Hint">The ID token it came with; null when with none.</param>
/// <param name="Client">Whose wish it is, where that is known.</param>
/// <param name="Redirect">Where to go afterwards, <c>state</c> included: an address that the client registered. Null: stay here.</param>
internal sealed record LogoutRequest(IdTokenHint? Hint, ClientRecord? Client, string? Redirect)
{
    /// <summary>Whether the program was given its ID token in this very sign-in, so that nobody else could ask for its end.</summary>
    public bool IsFor(SignInSession session) => Hint is not null && Hint.Subject == session.UserId && Hint.Sid == IdTokens.SidOf(session.Id);
}

/// <summary>Reads such wishes.</summary>
internal sealed class LogoutRequests(ClientDirectory clients, RegistryCache registry, IdTokens idTokens)
{
    /// <param name="encoded">The parameters. Codes of a refusal: what is wrong.</param>
    public async Task<Result<LogoutRequest>> ReadAsync(string encoded, CancellationToken cancel)
    {
        if (!AuthorizationRequests.Parse(encoded).TryGet(out var form, out var fault))
            return fault;
        if (form.Repeated.Count > 0)
            return new Fault("parameter", "A parameter stands more than once.");

        // 1. By an ID token, also an expired one; signed and issued here.
        IdTokenHint? hint = null;
        if (form[Names.OpenId.IdTokenHint] is { } text && !(await idTokens.ReadHintAsync(text, cancel)).TryGet(out hint, out _))
            return new Fault(Names.OpenId.IdTokenHint, "What the program shows of your sign-in does not come from here.");

        // 2. §2: the client is the one of the ID token, whoever else is named.
        if (form[Names.OAuth.ClientId] is { } named && hint is not null && named != hint.ClientId)
            return new Fault(Names.OAuth.ClientId, "The program says that it is another one than it is.");
        var client = (hint?.ClientId ?? form[Names.OAuth.ClientId]) is { } id && await clients.KnownAsync(id, await registry.Current(cancel), cancel) is { Active: true } known ? known : null;

        // 3. §3: only to what that client registered, character by character. Who came with an ID token that outlived its key can still sign out, and stays here.
        var outlived = hint is null && form[Names.OpenId.IdTokenHint] is not null;
        if (form[Names.OpenId.PostLogoutRedirectUri] is not { } uri || (client is null && outlived))
            return new LogoutRequest(hint, client, null);
        if (client is null || !client.PostLogoutRedirectUris.Contains(uri, StringComparer.Ordinal))
            return new Fault(Names.OpenId.PostLogoutRedirectUri, "The program wants you to go on to an address that is not registered for it.");
        var state = form[Names.OAuth.State] is { } value ? $"{(uri.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{Names.OAuth.State}={Uri.EscapeDataString(value)}" : "";
        return new LogoutRequest(hint, client, uri + state);
    }
}
