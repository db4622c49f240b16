using System.Text.Json.Nodes;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Whole authorities: for all child that does not exceed parent and all calls, child admits ⇒ parent admits.</summary>
[Trait("Spec", "wire:mcp_tool_call")]
public sealed class AuthorityPropertyTests
{
    private const int Count = 240;
    private static readonly string[] Digests =
        ["sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "sha-256:A7DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"];
    private static readonly string[] LocationNames = ["https://a", "https://a/"], Tools = ["t", "u"], Args = ["x", "y"],
        Actions = ["tools/call", "resources/read", "prompts/get"], Uris = ["a", "ab", "abc", "/data/x", "1"];

    [Fact]
    public void Exceeds_NotExceeding_AdmitsNoCallTheParentRefuses()
    {
        var (accepted, calls) = (0, 0);
        for (var seed = 0; seed < Count; seed++)
        {
            var generator = new Generator(50_000 + seed);
            var parent = Details(generator);
            // Either unrelated, or the parent with up to three changes of which most narrow.
            var child = seed % 6 == 0 ? Details(generator) : Changed(generator, parent);
            if (Json.Authority(child.ToJsonString()).Value.Exceeds(Json.Authority(parent.ToJsonString()).Value) is not null)
                continue;
            accepted++;
            calls += Compare(generator, child, parent);
        }
        Assert.InRange(accepted, Count * 30 / 100, Count * 95 / 100);
        Assert.True(calls > Count * 10, $"Only {calls} admitted calls were compared.");
    }

    /// <summary>How many calls the child admits; each of them the parent must admit.</summary>
    private static int Compare(Generator generator, JsonArray child, JsonArray parent)
    {
        var admitted = 0;
        void Held(bool below, Func<bool> above, string what)
        {
            if (!below)
                return;
            admitted++;
            Assert.True(above(), $"{child.ToJsonString()}\n{parent.ToJsonString()}\n{what}");
        }
        foreach (var location in LocationNames)
        {
            foreach (var prompt in new[] { "p", "q" })
                Held(Oracle.AdmitsPrompt(child, location, prompt), () => Oracle.AdmitsPrompt(parent, location, prompt), prompt);
            foreach (var uri in Uris)
                Held(Oracle.AdmitsResource(child, location, uri), () => Oracle.AdmitsResource(parent, location, uri), uri);
            foreach (var arguments in ArgumentObjects(generator, child))
            {
                foreach (var (tool, digest, nth, approved) in from t in Tools from d in Digests from n in new[] { 1, 2, 9 } from a in new[] { true, false } select (t, d, n, a))
                {
                    Held(Oracle.AdmitsCall(child, location, tool, digest, arguments, nth, approved),
                        () => Oracle.AdmitsCall(parent, location, tool, digest, arguments, nth, approved), $"{location} {tool} {nth} {approved} {arguments.ToJsonString()}");
                }
            }
        }
        return admitted;
    }

    /// <summary>Every choice of which arguments are there, with values of the universe of the child's own constraints.</summary>
    private static IEnumerable<JsonObject> ArgumentObjects(Generator generator, JsonArray child)
    {
        var constraints = child.SelectMany(entry => entry!["tools"]?.AsObject() ?? []).SelectMany(tool => tool.Value!["args"]?.AsObject() ?? [])
            .Select(arg => arg.Value!).ToArray();
        var universe = generator.Universe(constraints);
        var granted = universe.Where(value => constraints.Any(constraint => Oracle.Admits(constraint, value))).ToList();
        foreach (var names in new string[][] { [], ["x"], ["y"], ["x", "y"], ["x", "y", "z"] })
        {
            for (var i = 0; i < (names.Length == 0 ? 1 : 8); i++)
            {
                var arguments = new JsonObject();
                foreach (var name in names)
                {
                    arguments[name] = generator.Pick([.. granted.Count > 0 && i % 4 != 0 ? granted : universe])?.DeepClone();
                }
                yield return arguments;
            }
        }
    }

    private static JsonArray Details(Generator generator)
    {
        var details = new JsonArray();
        foreach (var location in LocationNames.Take(generator.Pick(1, 1, 2)))
        {
            var entry = new JsonObject { ["type"] = "mcp_tool_call", ["locations"] = new JsonArray(location) };
            entry["actions"] = new JsonArray([.. Actions.Where(_ => generator.Pick(true, true, false)).Select(a => (JsonNode)a)]);
            var tools = new JsonObject();
            foreach (var tool in Tools.Take(generator.Pick(1, 2)))
                tools[tool] = Tool(generator);
            entry["tools"] = tools;
            if (generator.Pick(true, false))
                entry["resources"] = new JsonArray(Constraint(generator), Constraint(generator));
            if (generator.Pick(true, false))
                entry["prompts"] = new JsonArray("p");
            details.Add(entry);
        }
        return details;
    }

    private static JsonObject Tool(Generator generator)
    {
        var tool = new JsonObject();
        var args = new JsonObject();
        foreach (var arg in Args.Take(generator.Pick(0, 1, 2)))
            args[arg] = Constraint(generator);
        if (args.Count > 0 && generator.Pick(true, false))
            tool["optional"] = new JsonArray([.. args.Take(1).Select(arg => (JsonNode)arg.Key)]);
        if (args.Count > 0 || generator.Pick(true, false))
            tool["args"] = args;
        if (generator.Pick(true, false, false))
            tool["max_calls"] = generator.Pick(1, 2, 3);
        if (generator.Pick(true, false, false))
            tool["approval"] = generator.Pick("none", "required");
        if (generator.Pick(true, false, false))
            tool["def_digest"] = generator.Pick(Digests);
        return tool;
    }

    private static JsonArray Changed(Generator generator, JsonArray parent)
    {
        var child = parent.DeepClone().AsArray();
        for (var i = generator.Pick(1, 2, 3); i > 0; i--)
        {
            var entry = generator.Pick([.. child])!.AsObject();
            var tools = entry["tools"]!.AsObject();
            if (tools.Count == 0)
                continue;
            var tool = generator.Pick([.. tools]).Value!.AsObject();
            var args = tool["args"] as JsonObject;
            generator.Pick<Action>(
                () => tool["max_calls"] = 1,
                () => tool["max_calls"] = 2,
                () => tool["approval"] = "required",
                () => tool["def_digest"] = Digests[0],
                () => tool.Remove("optional"),
                () => tool.Remove(generator.Pick("max_calls", "approval", "def_digest", "optional")),
                () => entry.Remove(generator.Pick("prompts", "resources", "actions")),
                () => tools.Remove(generator.Pick(Tools)),
                () => (tool["args"] = args ?? new JsonObject()).AsObject()["x"] = Constraint(generator),
                () => Narrow(generator, tool, args))();
        }
        return child;
    }

    private static void Narrow(Generator generator, JsonObject tool, JsonObject? args)
    {
        if (args is null or { Count: 0 })
            tool["args"] = new JsonObject { ["x"] = Constraint(generator) };
        else
            args[args.First().Key] = new JsonObject { ["constraint_type"] = "all", ["of"] = new JsonArray(args.First().Value!.DeepClone(), Constraint(generator)) };
    }

    private static JsonObject Constraint(Generator generator) =>
        generator.Constraint(generator.Pick("wildcard", "wildcard", "prefix", "range", "not_one_of", "one_of", "path_under", "any"));
}
