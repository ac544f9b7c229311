/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_audit.c - cprctl audit: which system calls of a program, or of a process, go past the hooks? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../audit/decoder.h"
#include "../audit/objects.h"
#include "audit_json.h"
#include "audit_print.h"
#include "ctl.h"
#include "installed.h"
#include "jget.h"
#include "text.h"

static int find_objects(const struct options *opts, struct objects *ret)
{
	int err = opts->pid ? objects_of_process(opts->pid, ret)
			    : objects_of_file(opts->file, opts->library_path, opts->seen & OPT_MODULES, ret);

	if (err) {
		text_error("%s cannot be looked at: %s", opts->file,
			   strerror(err == -ENOENT && opts->pid ? ESRCH : -err));
		return err;
	}
	if (ret->count > 0 && (opts->pid || !ret->items[0].why))
		return 0;
	if (ret->count > 0)
		text_error("%s cannot be looked at: %s", opts->file, ret->items[0].why);
	else
		text_error("%s runs no code of its own", opts->file);
	objects_free(ret);
	return -ENOEXEC;
}

static json_t *look(const struct objects *objects)
{
	const struct disasm_api *api;
	const char *why = NULL;
	char *path = NULL;
	json_t *answer;

	if (installed_find("cprshim/", DECODER_FILE, &path))
		path = NULL;
	api = decoder_open(path, &why);
	free(path);
	answer = audit_json(objects, api, why);
	if (api)
		decoder_close(api);
	return answer;
}

/**
 * cmd_audit() - cprctl audit
 * @opts: the command line
 *
 * Return: CTL_OK, CTL_NO where the file or process cannot be looked at.
 */
int cmd_audit(const struct options *opts)
{
	struct objects objects;
	json_t *answer;
	int err;

	if (find_objects(opts, &objects))
		return CTL_NO;
	answer = look(&objects);
	err = !answer;
	if (answer && opts->pid)
		err = json_object_set_new(answer, "generated_code", json_integer((json_int_t)objects.generated));
	objects_free(&objects);
	if (err)
		text_error("out of memory");
	else if (opts->seen & OPT_JSON)
		err = jget_print(answer);
	else
		err = audit_print(stdout, answer, opts->seen & OPT_ALL);
	json_decref(answer);
	return err ? CTL_NO : CTL_OK;
}
