using McpAuth.Protocol;
using McpAuthServer.Http;

namespace McpAuthServer.Admin;

/// <summary><c>/admin/api</c>: what an administrator can see and do, for programs. Refusals are problems (RFC 9457).</summary>
internal static class AdministrationEndpoint
{
    public static void MapAdministration(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup(Names.Paths.Admin).WithMetadata(new FailureForm(Problem.Of));
        foreach (var kind in EntryKind.All)
        {
            api.Map<EntryDesk>(HttpMethods.Get, $"/{kind.Path}", (desk, call) => desk.ListAsync(kind, call));
            api.Map<EntryDesk>(HttpMethods.Get, $"/{kind.Path}/{{id}}", (desk, call) => desk.ShowAsync(kind, call));
            api.Map<EntryDesk>(HttpMethods.Put, $"/{kind.Path}/{{id}}", (desk, call) => desk.PutAsync(kind, call));
        }
        api.Map<EntryDesk>(HttpMethods.Post, "/apply", (desk, call) => desk.ApplyAsync(call));
        api.Map<InstanceDesk>(HttpMethods.Get, "/instances", (desk, call) => desk.ListAsync(call));
        api.Map<InstanceDesk>(HttpMethods.Delete, "/instances/{id}", (desk, call) => desk.EndAsync(call));
        api.Map<WorkDesk>(HttpMethods.Get, "/tasks", (desk, call) => desk.ListAsync(call));
        api.Map<WorkDesk>(HttpMethods.Get, "/tasks/{id}", (desk, call) => desk.ShowAsync(call));
        foreach (var verb in WorkDesk.Verbs)
            api.Map<WorkDesk>(HttpMethods.Post, $"/tasks/{{id}}/{verb}", (desk, call) => desk.MoveAsync(verb, call));
        api.Map<RevocationDesk>(HttpMethods.Post, "/consents/{id}/lift", (desk, call) => desk.LiftAsync(call));
        api.Map<PolicyDesk>(HttpMethods.Get, "/tool-servers/{id}/policy-schema", (desk, call) => desk.SchemaAsync(call));
        api.Map<PolicyDesk>(HttpMethods.Get, "/tool-servers/{id}/policies", (desk, call) => desk.ListAsync(call));
        api.Map<PolicyDesk>(HttpMethods.Post, "/tool-servers/{id}/policies", (desk, call) => desk.DraftAsync(call));
        api.Map<PolicyDesk>(HttpMethods.Get, "/tool-servers/{id}/policies/{part}", (desk, call) => desk.ShowAsync(call));
        foreach (var verb in PolicyDesk.Verbs)
            api.Map<PolicyDesk>(HttpMethods.Post, $"/tool-servers/{{id}}/policies/{{part}}/{verb}", (desk, call) => desk.MoveAsync(verb, call));
        api.Map<PolicyDesk>(HttpMethods.Get, "/tool-servers/{id}/policies/{part}/differences", (desk, call) => desk.DifferencesAsync(call));
        api.Map<ToolDesk>(HttpMethods.Get, "/tool-servers/{id}/tools", (desk, call) => desk.ListAsync(call));
        api.Map<ToolDesk>(HttpMethods.Get, "/tool-servers/{id}/tools/{part}", (desk, call) => desk.ShowAsync(call));
        api.Map<ToolDesk>(HttpMethods.Post, "/tool-servers/{id}/tools/{part}/approve", (desk, call) => desk.ApproveAsync(call));
        api.Map<ToolDesk>(HttpMethods.Post, "/tool-servers/{id}/tools/{part}/retire", (desk, call) => desk.RetireAsync(call));
        api.Map<ApprovalsDesk>(HttpMethods.Get, "/approvals", (desk, call) => desk.ListAsync(call));
        api.Map<ApprovalsDesk>(HttpMethods.Post, "/approvals/{id}/refuse", (desk, call) => desk.RefuseAsync(call));
        api.Map<DecisionDesk>(HttpMethods.Post, "/decisions/{id}/replay", (desk, call) => desk.ReplayAsync(call));
        api.Map<RevocationDesk>(HttpMethods.Post, "/revocations", (desk, call) => desk.RevokeAsync(call));
    }

    /// <summary>One endpoint: who calls is asked before anything else is looked at.</summary>
    private static void Map<TDesk>(this RouteGroupBuilder api, string method, string pattern, Func<TDesk, AdminCall, Task<IResult>> handle) where TDesk : class =>
        api.MapMethods(pattern, [method], async (HttpContext context, AdminCallers callers, TDesk desk) =>
        {
            // The host leaves an escaped slash in a path as it is; ids of clients and names of tools have them, and none has a percent sign.
            var (id, part) = (Named(context, "id"), Named(context, "part"));
            var path = Names.Paths.Admin + pattern.Replace("{id}", Uri.EscapeDataString(id), StringComparison.Ordinal).Replace("{part}", Uri.EscapeDataString(part), StringComparison.Ordinal);
            var (caller, refusal) = await callers.AuthenticateAsync(context, path);
            return caller is null ? refusal! : await handle(desk, new AdminCall(context, caller, id, part));
        });

    private static string Named(HttpContext context, string value) => (context.GetRouteValue(value) as string ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
}
