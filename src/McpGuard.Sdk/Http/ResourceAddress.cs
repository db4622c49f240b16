using McpAuth.Protocol;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Http;

/// <summary>Everything derived from the configured resource, once. Nothing here ever comes from a request.</summary>
internal sealed class ResourceAddress
{
    public ResourceAddress(IOptions<McpGuardOptions> options)
    {
        Uri = new Uri(options.Value.Resource);
        string path = Uri.AbsolutePath == "/" ? "" : Uri.AbsolutePath;
        InsertedPath = Names.Paths.ProtectedResource + path; // RFC 9728 §3.1
        Metadata = Uri.GetLeftPart(UriPartial.Authority) + InsertedPath;
        Origin = Uri.GetLeftPart(UriPartial.Authority);
        Loopback = McpGuardOptionsValidator.IsLoopback(Uri.Host);
        Scope = string.Join(' ', options.Value.Scopes);
        string tail = $"resource_metadata=\"{Metadata}\"" + (Scope.Length == 0 ? "" : $", scope=\"{Scope}\"");
        NoToken = $"Bearer {tail}";
        InvalidBearer = $"Bearer error=\"{Names.Errors.InvalidToken}\", {tail}";
        InvalidRequest = $"Bearer error=\"{Names.Errors.InvalidRequest}\", {tail}";
        InvalidBound = $"DPoP error=\"{Names.Errors.InvalidToken}\", algs=\"{ProofAlgorithms}\", {tail}";
        InvalidProof = $"DPoP error=\"{Names.Errors.InvalidDpopProof}\", algs=\"{ProofAlgorithms}\", {tail}";
        UseNonce = $"DPoP error=\"{Names.Dpop.UseNonce}\", algs=\"{ProofAlgorithms}\", {tail}";
    }

    private const string ProofAlgorithms = "ES256 RS256";

    public Uri Uri { get; }
    public string Origin { get; }
    public bool Loopback { get; }
    public string Scope { get; }

    /// <summary>Where the metadata stands when the resource's path is inserted.</summary>
    public string InsertedPath { get; }

    /// <summary>The same, absolute: what challenges name.</summary>
    public string Metadata { get; }

    // RFC 6750 §3: without any token there is no error to name.
    public string NoToken { get; }
    public string InvalidBearer { get; }
    public string InvalidRequest { get; }
    public string InvalidBound { get; }
    public string InvalidProof { get; }
    public string UseNonce { get; }

    public string Insufficient(IReadOnlyList<string> scopes, string scheme) =>
        $"{scheme} error=\"{Names.Errors.InsufficientScope}\", scope=\"{string.Join(' ', scopes)}\", resource_metadata=\"{Metadata}\", error_description=\"A further scope is needed\"";
}
