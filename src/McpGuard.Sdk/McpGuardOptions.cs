using System.Text.Json;

namespace McpGuard.Sdk;

/// <summary>How a tool server is guarded. Validated when the host starts. No option turns audience checks or the audit off.</summary>
public sealed class McpGuardOptions
{
    /// <summary>The issuer, exactly as it calls itself, e.g. <c>https://auth.example</c>. Required; https, or http on a loopback address.</summary>
    public string AuthorizationServer { get; set; } = "";

    /// <summary>
    /// The exact URL of the MCP endpoint, e.g. <c>https://files.example/mcp</c>: the one audience whose tokens are taken (RFC 8707 §2).
    /// Required. It is never derived from a request.
    /// </summary>
    public string Resource { get; set; } = "";

    /// <summary>The tool server's one-time secret. Needed once per state directory: then the guard has a key of its own.</summary>
    public string? EnrolmentSecret { get; set; }

    /// <summary>Where the guard keeps its key, its id and what it has not yet delivered. Default: <c>.mcpguard</c> under the content root.</summary>
    public string? StateDirectory { get; set; }

    /// <summary>Host names (without port) a request may carry besides the resource's own; a loopback resource also takes the other loopback names.</summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Origins (scheme, host, port) a browser may call from besides the resource's own; a loopback resource also takes loopback origins.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>What the metadata and the first challenge ask for (RFC 9728 §2): the minimal set. Never <c>offline_access</c>.</summary>
    public IList<string> Scopes { get; } = ["tools:read"];

    /// <summary>
    /// How long after the last word from the server a call of a tool marked <c>read</c> may still be allowed when the server cannot be
    /// asked. Default zero: not at all. At most 60 s.
    /// </summary>
    public TimeSpan StaleReadGrace { get; set; }

    /// <summary>Whether more records reach the disk before the call than must; it can be raised only.</summary>
    public RecordDurability RecordDurability { get; set; }

    /// <summary>How many bytes of records are kept before every call is denied: undelivered ones, and of those delivered a quarter at most. Default 4 GiB, at least 16 MiB.</summary>
    public long SpoolLimit { get; set; } = 4L << 30;

    /// <summary>
    /// Asks for a server-made nonce in every DPoP proof (RFC 9449 §9). Turn it on where several processes serve one resource: each sees
    /// only the proofs sent to it. Off, only proofs made before this process started need one.
    /// </summary>
    public bool RequireDpopNonce { get; set; }

    /// <summary>
    /// Addresses and CIDR prefixes of the reverse proxies before the tool server: only they may tell a caller's certificate, in
    /// <see cref="CertificateHeader"/>.
    /// </summary>
    public IList<string> Proxies { get; } = [];

    /// <summary>
    /// Where a proxy tells the certificate of a connection that it ended, for tokens that are bound to one (RFC 8705 §3): <c>Client-Cert</c> is read
    /// as RFC 9440 has it, a header of another name as URL-encoded PEM. Needs <see cref="Proxies"/>. Null: only the connection's own counts.
    /// </summary>
    public string? CertificateHeader { get; set; }

    /// <summary>
    /// Tool definitions as <c>tools/list</c> shows them (<c>name</c>, <c>inputSchema</c>, …), for endpoints that are not hosted on the MCP
    /// SDK. The tools of a hosted <c>McpServer</c> are found by themselves.
    /// </summary>
    public IList<JsonElement> Tools { get; } = [];

    /// <summary>Tools that are not known when the host starts, or change while it runs, besides <see cref="Tools"/>. Null: there are none.</summary>
    public ToolSet? ToolSet { get; set; }

    /// <summary>
    /// Decision points that are asked at once about every call, resource and prompt that the token's authority and the server's policies allow, before <see cref="Policy"/>. All must
    /// allow; no answer in time, or none that is one, denies. Lists are not asked about.
    /// </summary>
    public IList<AuthZenDecisionPoint> DecisionPoints { get; } = [];

    /// <summary>How often, and with how much, tools may be called. No rates by default; arguments up to 1 MiB, answers up to 8 MiB.</summary>
    public CallLimits Limits { get; } = new();

    /// <summary>Decides after the token's authority admitted a call. Null: the authority alone decides.</summary>
    public CallPolicy? Policy { get; set; }

    /// <summary>Sends the guard's own requests to the authorization server. Null: a handler of its own, without redirects and cookies.</summary>
    public HttpMessageHandler? Backchannel { get; set; }
}

/// <summary>When a decision record must be on the disk itself, not only out of the process, before the call runs.</summary>
public enum RecordDurability
{
    /// <summary>Before <c>write</c> and <c>destructive</c> tools.</summary>
    Declared = 0,

    /// <summary>Before every tool.</summary>
    Disk = 1,
}
