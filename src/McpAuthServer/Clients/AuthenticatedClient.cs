using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Jose;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>Who called the token endpoint: registered software or a guard, and what of its credential must be consumed with the effect.</summary>
internal sealed record AuthenticatedClient(string Id, string Method, Once? Assertion)
{
    public ClientRecord? Client { get; init; }
    public GuardRecord? Guard { get; init; }

    /// <summary>What it came with, whether it authenticated by it or not.</summary>
    public ClientCertificate? Certificate { get; init; }

    /// <summary>Of the certificate that its tokens are to be bound to (RFC 8705 §3.4); null = to none.</summary>
    public string? BoundCertificate => Client is { BindsToCertificate: true } ? Certificate?.Thumbprint : null;
}

/// <summary>An enrolled guard process.</summary>
internal sealed record GuardRecord(string Id, string ToolServer, VerificationKey Key, bool Active);

/// <summary>Why a client was not authenticated: the text for the wire and whether Basic was tried.</summary>
internal sealed record ClientRefusal(string? ClientId, string Message, bool UsedBasic, string Reason);
