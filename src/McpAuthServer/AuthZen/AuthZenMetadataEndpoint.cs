using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Http;

namespace McpAuthServer.AuthZen;

/// <summary>The decision point's metadata (AuthZEN 1.0 §9): what is implemented, and nothing else.</summary>
internal static class AuthZenMetadataEndpoint
{
    private static readonly string Cacheable = string.Create(CultureInfo.InvariantCulture, $"public, max-age={(int)Limits.KeySetAge.TotalSeconds}");

    public static void MapAuthZenMetadata(this IEndpointRouteBuilder routes, Issuer issuer)
    {
        var document = new JsonObject
        {
            // §9.2.3: identical to what the well-known part was inserted into.
            ["policy_decision_point"] = issuer.Value,
            ["access_evaluation_endpoint"] = issuer.Value + Names.Paths.AccessEvaluation, ["access_evaluations_endpoint"] = issuer.Value + Names.Paths.AccessEvaluations,
            ["search_subject_endpoint"] = issuer.Value + Names.Paths.SearchSubject, ["search_resource_endpoint"] = issuer.Value + Names.Paths.SearchResource,
            ["search_action_endpoint"] = issuer.Value + Names.Paths.SearchAction,
        };
        var body = Encoding.UTF8.GetBytes(document.ToJsonString());
        // §9.2: between host and path. Appended as well, for those who read RFC 8615 as OpenID does.
        foreach (var place in new[] { Names.Paths.AuthZenMetadata + issuer.BasePath, issuer.BasePath + Names.Paths.AuthZenMetadata }.Distinct(StringComparer.Ordinal))
            routes.MapGet(place, (HttpContext context) =>
            {
                context.Response.Headers.CacheControl = Cacheable;
                return Results.Bytes(body, "application/json");
            }).RequireCors(Cors.Public);
    }
}
