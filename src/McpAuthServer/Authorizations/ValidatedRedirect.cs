using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>
/// An address that the client registered and the request named: the only thing an answer can be sent to. Whoever writes an error that
/// leaves the server must have one, so the wrong order does not compile.
/// </summary>
internal sealed class ValidatedRedirect : Recipient
{
    private readonly string issuer;
    private readonly string? state;
    private readonly ResponseMode mode;

    private ValidatedRedirect(string registered, string uri, string issuer, string? state, ResponseMode mode) =>
        (Registered, Uri, this.issuer, this.state, this.mode) = (registered, uri, issuer, state, mode);

    /// <summary>As it stands in the registration.</summary>
    public override string Registered { get; }

    /// <summary>As the request gave it, with the port of this time.</summary>
    public string Uri { get; }

    public override string Shown => RedirectUri.Shown(Uri);

    /// <summary>Https: who receives it has proved to own the name. Anything else ends in some program on the person's machine.</summary>
    public override bool Proven => Uri.StartsWith("https://", StringComparison.Ordinal);

    public override string Exact => Uri;

    /// <param name="given">The request's <c>redirect_uri</c>; null stands for the client's only one.</param>
    /// <param name="state">Goes back verbatim.</param>
    public static ValidatedRedirect? Of(ClientRecord client, string? given, Issuer issuer, string? state, ResponseMode mode) =>
        given is null
            ? client.RedirectUris is [var only] ? new(only, only, issuer.Value, state, mode) : null
            : client.RedirectUris.FirstOrDefault(registered => RedirectUri.Matches(registered, given)) is { } match ? new(match, given, issuer.Value, state, mode) : null;

    /// <summary>RFC 6749 §4.1.2.</summary>
    public AuthorizationAnswer Success(string code) => Answer((Names.OAuth.Code, code));

    /// <summary>RFC 6749 §4.1.2.1.</summary>
    public AuthorizationAnswer Error(string error, string description) => Answer((Names.OAuth.Error, error), (Names.OAuth.ErrorDescription, ErrorDescription.Shown(description)));

    // RFC 9207 §2: iss in every answer.
    private AuthorizationAnswer Answer(params ReadOnlySpan<(string Name, string? Value)> members)
    {
        (string Name, string? Value)[] all = [.. members, (Names.OAuth.State, state), (Names.Authorization.Iss, issuer)];
        return new(Uri, mode, [.. all.Where(m => m.Value is not null).Select(m => KeyValuePair.Create(m.Name, m.Value!))]);
    }
}
