using McpAuth.Protocol;
using Microsoft.AspNetCore.Cors.Infrastructure;

namespace McpAuthServer.Http;

/// <summary>Which answers a script of any origin may read: never with credentials, never where a person is signed in.</summary>
internal static class Cors
{
    public const string Public = "public";

    public static void Configure(CorsOptions options) => options.AddPolicy(Public, policy => policy
        .AllowAnyOrigin()
        .WithMethods("GET", "POST")
        .WithHeaders("Authorization", "Content-Type", Names.Dpop.Header, Names.Mcp.ProtocolVersionHeader, Names.Mcp.MethodHeader, Names.Mcp.NameHeader)
        .WithExposedHeaders("WWW-Authenticate", Names.Dpop.Nonce));
}
