using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>
/// An address that the client registered and the request named: the only thing an answer can be sent to. Whoever writes an error that
/// leaves the server must have one, so the wrong order does not compile.
/// </summary>
internal sealed class ValidatedRedirect
{
    private readonly string issuer;
    private readonly string? state;

    private ValidatedRedirect(string registered, string uri, string issuer, string? state) =>
        (Registered, Uri, this.issuer, this.state) = (registered, uri, issuer, state);

    /// <summary>As it stands in the registration.</summary>
    public string Registered { get; }

    /// <summary>As the request gave it, with the port of this time.</summary>
    public string Uri { get; }

    /// <summary>Https: who receives it has proved to own the name. Anything else ends in some program on the person's machine.</summary>
    public bool AtAWebSite => Uri.StartsWith("https://", StringComparison.Ordinal);

    /// <param name="given">The request's <c>redirect_uri</c>; null stands for the client's only one.</param>
    /// <param name="state">Goes back verbatim.</param>
    public static ValidatedRedirect? Of(ClientRecord client, string? given, Issuer issuer, string? state) =>
        given is null
            ? client.RedirectUris is [var only] ? new(only, only, issuer.Value, state) : null
            : client.RedirectUris.FirstOrDefault(registered => RedirectUri.Matches(registered, given)) is { } match ? new(match, given, issuer.Value, state) : null;

    /// <summary>RFC 6749 §4.1.2.</summary>
    public string Success(string code) => Answer((Names.OAuth.Code, code));

    /// <summary>RFC 6749 §4.1.2.1.</summary>
    public string Error(string error, string description) => Answer((Names.OAuth.Error, error), (Names.OAuth.ErrorDescription, description));

    // RFC 9207 §2: iss in every answer. Everything is escaped, so no value can end a header or add a parameter.
    private string Answer(params ReadOnlySpan<(string Name, string? Value)> members)
    {
        (string Name, string? Value)[] all = [.. members, (Names.OAuth.State, state), (Names.Authorization.Iss, issuer)];
        var parameters = all.Where(m => m.Value is not null).Select(m => $"{m.Name}={System.Uri.EscapeDataString(m.Value!)}");
        return $"{Uri}{(Uri.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{string.Join('&', parameters)}";
    }
}
