using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;

namespace McpAuthServer.Tests.AuthZen;

/// <summary>
/// The decisions that the AuthZEN working group published for its interoperability scenarios, asked of this decision point. As they stand they are about users,
/// to-dos and records, of which there are none here: the answer is no. Said of tools, the answers are the published ones: what a scenario acts on becomes the
/// arguments, or the tool server; what it may do becomes a tool; its rules are Cedar.
/// </summary>
public sealed class VectorTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Todo = "decisions-authorization-api-1_0-02.json";

    /// <summary>Who the ids of the to-do scenario are, in its own words: name, and roles.</summary>
    private static readonly (string Id, string Name, string[] Roles)[] Smiths =
    [
        ("CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "rick", ["admin", "evil_genius"]), ("CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "morty", ["editor"]),
        ("CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "summer", ["editor"]), ("CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "beth", ["viewer"]),
        ("CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "jerry", ["viewer"]),
    ];

    /// <summary>Every file there is stands here, with what it is good for; a new one fails the test until somebody has looked at it.</summary>
    private static readonly Dictionary<string, string> Files = new(StringComparer.Ordinal)
    {
        [Todo] = "asked as it stands, and of tools",
        ["gateway-decisions.json"] = "asked as it stands only: its actions are methods of HTTP on routes of a gateway. Tools have neither",
        ["search-subject.json"] = "asked as it stands, and of tools", ["search-resource.json"] = "asked as it stands, and of tools", ["search-action.json"] = "asked as it stands, and of tools",
    };

    [VectorFact]
    public void Files_ThatArePublished_AreAllForeseen() =>
        Assert.Equal(Files.Keys.Order(StringComparer.Ordinal), Directory.GetFiles(Path.Combine(Vectors.Folder, "authzen")).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal));

    /// <summary>Well-formed questions about what is not here: 200, and no; nothing found.</summary>
    [VectorFact]
    public async Task Questions_AsTheyStand_AreAnsweredWithNo()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var asked = 0;
        foreach (var file in Files.Keys)
            foreach (var vector in Read(file)["evaluation"]!.AsArray())
            {
                var answer = await (await w.AskAsAdministratorAsync(PathOf(file), vector!["request"]!.DeepClone())).AnswerAsync();
                if (file.StartsWith("search", StringComparison.Ordinal))
                    Assert.Empty(answer["results"]!.AsArray());
                else
                    Assert.False((bool)answer["decision"]!);
                asked++;
            }
        foreach (var vector in Read(Todo)["evaluations"]!.AsArray())
        {
            var answer = await (await w.AskAsAdministratorAsync(Names.Paths.AccessEvaluations, vector!["request"]!.DeepClone())).AnswerAsync();
            Assert.Equal(vector["expected"]!.AsArray().Count, answer["evaluations"]!.AsArray().Count(e => !(bool)e!["decision"]!));
            asked++;
        }
        Assert.Equal(266, asked);
    }

    [VectorFact]
    public async Task Todo_SaidOfTools_IsDecidedAsPublished()
    {
        string[] tools = ["can_read_user", "can_read_todos", "can_create_todo", "can_update_todo", "can_delete_todo"];
        var w = await PolicyWorld.OfAsync(server, o =>
        {
            o.Tools.Clear();
            foreach (var tool in tools)
                o.Tools[tool] = "read";
        });
        var x = w.S.Suffix;
        await server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray([.. Smiths.SelectMany(s => s.Roles).Distinct().Select(r => new JsonObject { ["id"] = $"grp_{r}_{x}", ["name"] = r })]),
            ["users"] = new JsonArray([.. Smiths.Select(s => new JsonObject { ["id"] = $"usr_{s.Name}_{x}", ["name"] = s.Name, ["groups"] = new JsonArray([.. s.Roles.Select(r => (JsonNode)$"grp_{r}_{x}")]) })]),
        }.ToJsonString());
        // The scenario's own rules. Who owns a to-do is its "path", the one argument that the tools of these tests have.
        var own = string.Join(" || ", Smiths.Select(s => $"(principal == Mcp::User::\"usr_{s.Name}_{x}\" && context.input.path == \"{s.Name}\")"));
        await w.ActivateAsync($$"""
            permit(principal is Mcp::User, action in [Mcp::Action::"can_read_user", Mcp::Action::"can_read_todos"], resource);
            permit(principal in Mcp::Group::"grp_admin_{{x}}", action == Mcp::Action::"can_create_todo", resource);
            permit(principal in Mcp::Group::"grp_editor_{{x}}", action == Mcp::Action::"can_create_todo", resource);
            permit(principal in Mcp::Group::"grp_evil_genius_{{x}}", action == Mcp::Action::"can_update_todo", resource);
            permit(principal in Mcp::Group::"grp_admin_{{x}}", action == Mcp::Action::"can_delete_todo", resource);
            permit(principal in Mcp::Group::"grp_editor_{{x}}", action in [Mcp::Action::"can_update_todo", Mcp::Action::"can_delete_todo"], resource) when { {{own}} };
            """);
        // Of a question, whatever part of it is there.
        JsonObject Said(JsonNode of)
        {
            var question = new JsonObject();
            if (of["subject"] is { } subject)
                question["subject"] = new JsonObject { ["type"] = "user", ["id"] = $"usr_{Smiths.Single(s => s.Id == (string)subject["id"]!).Name}_{x}" };
            if (of["action"] is { } action)
                question["action"] = action.DeepClone();
            if (of["resource"] is { } resource)
            {
                question["resource"] = new JsonObject { ["type"] = "tool_server", ["id"] = w.S.Resource };
                question["context"] = new JsonObject { ["input"] = new JsonObject { ["path"] = ((string?)resource["properties"]?["ownerID"] ?? (string)resource["id"]!).Split('@')[0] } };
            }
            return question;
        }
        foreach (var vector in Read(Todo)["evaluation"]!.AsArray())
            Assert.True((bool)vector!["expected"]! == await w.AllowsAsync(Said(vector["request"]!)), vector.ToJsonString());
        foreach (var vector in Read(Todo)["evaluations"]!.AsArray())
        {
            var several = Said(vector!["request"]!);
            several["evaluations"] = new JsonArray([.. vector["request"]!["evaluations"]!.AsArray().Select(e => Said(e!))]);
            var answers = (await (await w.AskAsGuardAsync(Names.Paths.AccessEvaluations, several)).AnswerAsync())["evaluations"]!;
            Assert.True(JsonNode.DeepEquals(vector["expected"], answers), $"{vector.ToJsonString()}: {answers.ToJsonString()}");
        }
    }

    /// <summary>The three files tell of one state of things: it is made of one of them, and must answer all.</summary>
    [VectorFact]
    public async Task Search_SaidOfTools_FindsWhatIsPublished()
    {
        JsonArray subjects = Read("search-subject.json")["evaluation"]!.AsArray(), resources = Read("search-resource.json")["evaluation"]!.AsArray(), actions = Read("search-action.json")["evaluation"]!.AsArray();
        var worlds = new Dictionary<string, PolicyWorld>(StringComparer.Ordinal);
        string[] people = [.. resources.Select(v => (string)v!["request"]!["subject"]!["id"]!).Distinct()];
        string Usr(string name) => "usr_search_" + name;
        foreach (var record in subjects.GroupBy(v => (string)v!["request"]!["resource"]!["id"]!))
        {
            var w = worlds[record.Key] = await PolicyWorld.OfAsync(server, o =>
            {
                o.Tools.Clear();
                foreach (var tool in new[] { "view", "edit", "delete" })
                    o.Tools[tool] = "read";
            });
            if (worlds.Count == 1)
                await server.ApplyAsync(new JsonObject { ["users"] = new JsonArray([.. people.Select(p => new JsonObject { ["id"] = Usr(p), ["name"] = p })]) }.ToJsonString());
            await w.ActivateAsync(string.Concat(record.SelectMany(v => v!["expected"]!["results"]!.AsArray().Select(r =>
                $"permit(principal == Mcp::User::\"{Usr((string)r!["id"]!)}\", action == Mcp::Action::\"{(string)v["request"]!["action"]!["name"]!}\", resource);"))));
        }
        var any = worlds.Values.First();
        var records = worlds.ToDictionary(w => w.Value.S.Resource, w => w.Key, StringComparer.Ordinal);
        async Task<HashSet<string>> FindAsync(string path, JsonNode request, string member)
        {
            var question = new JsonObject { ["context"] = new JsonObject { ["input"] = new JsonObject { ["path"] = "/" } }, ["page"] = new JsonObject { ["limit"] = 200 } };
            question["subject"] = new JsonObject { ["type"] = "user", ["id"] = (string?)request["subject"]!["id"] is { } who ? Usr(who) : null };
            question["resource"] = new JsonObject { ["type"] = "tool_server", ["id"] = (string?)request["resource"]!["id"] is { } record ? worlds[record].S.Resource : null };
            if (request["action"] is { } action)
                question["action"] = action.DeepClone();
            var answer = await (await any.AskAsAdministratorAsync(path, question)).AnswerAsync();
            Assert.Equal("", (string?)answer["page"]!["next_token"]);
            return [.. answer["results"]!.AsArray().Select(r => (string)r![member]!)];
        }
        foreach (var v in subjects)
            Assert.Equal(Published(v!, "id").Select(Usr).ToHashSet(), await FindAsync(Names.Paths.SearchSubject, v!["request"]!, "id"));
        foreach (var v in resources)
            Assert.Equal(Published(v!, "id"), (await FindAsync(Names.Paths.SearchResource, v!["request"]!, "id")).Where(records.ContainsKey).Select(r => records[r]).ToHashSet());
        foreach (var v in actions)
            Assert.Equal(Published(v!, "name"), await FindAsync(Names.Paths.SearchAction, v!["request"]!, "name"));
    }

    private static HashSet<string> Published(JsonNode vector, string member) => [.. vector["expected"]!["results"]!.AsArray().Select(r => (string)r![member]!)];

    private static string PathOf(string file) => file switch
    {
        "search-subject.json" => Names.Paths.SearchSubject, "search-resource.json" => Names.Paths.SearchResource, "search-action.json" => Names.Paths.SearchAction, _ => Names.Paths.AccessEvaluation,
    };

    private static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(Vectors.Folder, "authzen", file)))!;
}

/// <summary>A fact that needs the published vectors.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class VectorFactAttribute() : SkipUnlessFactAttribute(Vectors.Has("authzen"));
